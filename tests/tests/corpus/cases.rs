//! The table of the corpus.
//!
//! Not here: how a case is run (`corpus.rs`).

/// How standard error is compared.
#[derive(Clone, Copy)]
pub(crate) enum Errors {
    /// Byte by byte.
    Same,
    /// Not at all: it holds times or process numbers.
    Ignored,
    /// Only the result lines of Python's test runner, and standard output not at all.
    TestCounts,
}

/// One program run.
pub(crate) struct Case {
    /// Its name for the filter argument.
    pub(crate) name: &'static str,
    /// The command; `PYTHON` stands for an interpreter with its own tests.
    pub(crate) argv: &'static [&'static str],
    /// Programs without which the case is skipped.
    pub(crate) needs: &'static [&'static str],
    /// Native shell commands beforehand.
    pub(crate) prepare: &'static str,
    /// Standard input.
    pub(crate) stdin: &'static str,
    /// Environment variables.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// How it ends natively; empty for a test suite that some machines fail.
    pub(crate) ends: &'static str,
    /// How standard error is compared.
    pub(crate) errors: Errors,
    /// Deadline of one run.
    pub(crate) seconds: u64,
    /// Runs only when long cases are asked for.
    pub(crate) long: bool,
    /// A process is killed: the trace may say that it is incomplete.
    pub(crate) partial: bool,
    /// Why it cannot pass yet.
    pub(crate) known: Option<&'static str>,
}

const CASE: Case = Case {
    name: "",
    argv: &[],
    needs: &[],
    prepare: "",
    stdin: "",
    env: &[],
    ends: "exit 0",
    errors: Errors::Same,
    seconds: 60,
    long: false,
    partial: false,
    known: None,
};

const fn direct(name: &'static str, argv: &'static [&'static str]) -> Case {
    Case { name, argv, ..CASE }
}

macro_rules! bash {
    ($name:literal, $script:expr) => {
        Case { name: $name, argv: &["bash", "-c", $script], ..CASE }
    };
}

macro_rules! python_tests {
    ($module:literal, $seconds:literal, $long:literal) => {
        Case {
            name: concat!("python/", $module),
            argv: &["PYTHON", "-m", "unittest", "-q", concat!("test.", $module)],
            ends: "",
            errors: Errors::TestCounts,
            seconds: $seconds,
            long: $long,
            partial: true,
            ..CASE
        }
    };
}

/// The corpus.
pub(crate) const CASES: &[Case] = &[
    direct("coreutils/true", &["true"]),
    Case { ends: "exit 1", ..direct("coreutils/false", &["false"]) },
    direct("coreutils/echo", &["/bin/echo", "a", "b  c"]),
    direct("coreutils/ls", &["ls", "-lR", "--time-style=full-iso", "--color=always"]),
    direct("coreutils/sort", &["sort", "-k2,2", "-k3n", "data.txt"]),
    direct("coreutils/sort-parallel", &["sort", "--parallel=2", "-S1M", "-r", "data.txt", "data.txt"]),
    direct("coreutils/sha256sum", &["sha256sum", "data.txt", "tree/part0.txt"]),
    direct("coreutils/md5sum", &["md5sum", "data.txt"]),
    direct("coreutils/date", &["date", "-u", "-d", "@1234567890", "+%A %d %B %Y %T.%N %s"]),
    direct("coreutils/env", &["env", "-i", "A=1", "B=two words", "env"]),
    direct("coreutils/wc", &["wc", "data.txt", "tree/part0.txt"]),
    direct("coreutils/cat", &["cat", "-n", "data.txt"]),
    Case { stdin: "one\ntwo\nthree\n", ..direct("coreutils/tac-stdin", &["tac"]) },
    direct("coreutils/od", &["od", "-A", "x", "-t", "x1z", "-N", "20000", "data.txt"]),
    direct("coreutils/factor", &["factor", "123456789012345678901", "600851475143", "97"]),
    direct("coreutils/seq", &["seq", "-f", "%08.3f", "0", "0.37", "500"]),
    direct("coreutils/base64", &["base64", "data.txt"]),
    direct("coreutils/stat", &["stat", "-c", "%n %s %Y %A %h %F", "data.txt", "tree"]),
    direct("coreutils/du", &["du", "-ab", "."]),
    direct("coreutils/cp", &["cp", "-rv", "tree", "copy"]),
    direct("coreutils/dd", &["dd", "if=data.txt", "of=out", "bs=777", "count=50", "status=none"]),
    direct("coreutils/split", &["split", "-l", "500", "--verbose", "data.txt", "piece."]),
    direct("coreutils/timeout", &["timeout", "5", "sleep", "0.05"]),
    Case {
        ends: "exit 124",
        partial: true,
        ..direct("coreutils/timeout-ends-it", &["timeout", "0.3", "sleep", "20"])
    },
    Case {
        ends: "signal 9",
        partial: true,
        ..direct("coreutils/timeout-kills-it", &["timeout", "-s", "KILL", "0.3", "sleep", "20"])
    },
    Case { ends: "exit 127", ..direct("coreutils/env-missing", &["env", "no-such-program-anywhere"]) },
    Case { ends: "exit 126", ..direct("coreutils/env-not-executable", &["env", "./data.txt"]) },
    direct("coreutils/nice", &["nice", "-n", "5", "nice"]),
    direct("coreutils/nohup", &["nohup", "echo", "still here"]),
    direct("coreutils/stdbuf-less", &["paste", "-d,", "data.txt", "data.txt"]),
    Case {
        stdin: "b\na\n",
        ..bash!(
            "coreutils/pipeline",
            "cat - data.txt | tr a-f A-F | cut -d' ' -f2,4 | sort | uniq -c | sort -rn | head -20"
        )
    },
    bash!("coreutils/xargs", "find tree -type f | sort | xargs -n 2 -P 2 wc -c | sort"),
    bash!(
        "coreutils/tee",
        "seq 1000 | tee one two | md5sum; cmp one two && diff -u one <(seq 1001) | tail -n +3"
    ),
    bash!(
        "bash/subshells",
        "x=1; (x=2; (x=3; echo $x); echo $x); echo $x; y=$(echo a; (echo b; exit 3); echo $?); echo \"$y\""
    ),
    bash!(
        "bash/pipes",
        "set -o pipefail; for i in 1 2 3; do seq $((i*1000)) | grep -c 7 | cat; done; false | true; echo $? ${PIPESTATUS[@]}; yes | head -3; echo ${PIPESTATUS[0]}"
    ),
    bash!(
        "bash/traps",
        "trap 'echo got usr1' USR1; trap 'echo leaving $?' EXIT; trap 'echo error' ERR; kill -USR1 $$; false; (trap 'echo sub' EXIT; exit 4); echo $?; kill -USR1 $BASHPID; exit 0"
    ),
    Case {
        partial: true,
        ..bash!(
            "bash/job-control",
            "set -m; sleep 5 & p=$!; kill -STOP %1; sleep 0.2; jobs -s | sed 's/.*Stopped/Stopped/'; kill -CONT %1; kill %1; wait $p; echo $?; sleep 0.05 & wait $!; echo $?; (sleep 0.2; exit 7) & wait -n; echo $?"
        )
    },
    Case {
        partial: true,
        errors: Errors::Ignored,
        ..bash!(
            "bash/kill",
            "sleep 10 & p=$!; kill -9 $p; wait $p; echo $?; sleep 10 & p=$!; kill $p; wait $p; echo $?; bash -c 'kill -SEGV $$'; echo $?; bash -c 'kill -ABRT $$'; echo $?"
        )
    },
    bash!(
        "bash/features",
        "declare -A m=([a]=1 [b]=2); for k in a b; do echo $k=${m[$k]}; done; cat <<X\nhere $((6*7))\nX\nread -r a b <<< 'one two'; echo $b; coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} l; echo $l; printf '%q %05.2f\\n' 'a b' 3.14159; [[ abc =~ ^a(.)c ]] && echo ${BASH_REMATCH[1]}; exec 5<data.txt; read -u 5 l; echo $l; mapfile -t -n 3 arr < data.txt; echo ${#arr[@]}"
    ),
    bash!(
        "bash/loops",
        "s=0; for ((i=0;i<20000;i++)); do ((s+=i*i%7)); done; echo $s; f() { [ $1 -le 1 ] && echo 1 || echo $(( $1 * $(f $(( $1 - 1 ))) )); }; f 8"
    ),
    Case { ends: "signal 15", ..bash!("bash/dies-by-signal", "echo before; kill -TERM $$; echo after") },
    Case { ends: "exit 3", ..bash!("bash/exit-status", "exit 3") },
    bash!(
        "bash/ulimit",
        "ulimit -n 64; ulimit -n; ulimit -S -v 4000000; ulimit -v; ls tree | head -2; ulimit -c; ulimit -s"
    ),
    // The group's signal ends `sleep` too, which bash mentions when it sees it in time: also natively.
    Case {
        errors: Errors::Ignored,
        ..bash!(
            "bash/timeout-guest",
            "timeout 2 bash -c 'trap \"echo ended; exit 5\" TERM; while :; do sleep 0.01; done'; echo $?"
        )
    },
    Case {
        argv: &["./script.sh", "an argument"],
        prepare: "printf '#!/bin/bash\\necho \"$0 $1\"; exit 9\\n' > script.sh; chmod +x script.sh",
        ends: "exit 9",
        ..direct("bash/script-directly", &[])
    },
    direct("loader/ld-so", &["/lib64/ld-linux-x86-64.so.2", "/bin/echo", "through", "the", "linker"]),
    direct(
        "dash",
        &[
            "dash",
            "-c",
            "i=0; while [ $i -lt 300 ]; do i=$((i+1)); x=$(echo $i); done; echo $x; trap 'echo t' EXIT",
        ],
    ),
    Case {
        needs: &["gzip"],
        ..bash!(
            "compress/gzip",
            "gzip -9kc data.txt | tee z | gzip -dc | cmp - data.txt && md5sum < z && gzip -tv < z"
        )
    },
    Case {
        needs: &["bzip2"],
        ..bash!("compress/bzip2", "bzip2 -9kc data.txt | tee z | bzip2 -dc | cmp - data.txt && md5sum < z")
    },
    Case {
        needs: &["xz"],
        ..bash!(
            "compress/xz",
            "xz -6 -T2 --block-size=30000 -kc data.txt | tee z | xz -dc | cmp - data.txt && md5sum < z"
        )
    },
    Case {
        needs: &["zstd"],
        ..bash!(
            "compress/zstd",
            "zstd -q -12 -T2 -c data.txt | tee z | zstd -q -dc | cmp - data.txt && md5sum < z"
        )
    },
    bash!(
        "compress/tar",
        "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf t.tgz tree && tar -tvzf t.tgz && md5sum < t.tgz && mkdir o && tar -C o -xf t.tgz && diff -r tree o/tree"
    ),
    bash!(
        "text/find",
        "find . -type f -size +1k -name 'part*' -printf '%p %s %TY\\n' | sort; find tree -name '*1*' -exec basename {} \\; | sort"
    ),
    bash!(
        "text/grep",
        "grep -rnE '(alpha|zeta) [0-9]{3} ' tree | sort | head -50; grep -c gamma data.txt; grep -P '\\d+(?= delta)' -o data.txt | md5sum; grep -F nothing data.txt; echo $?"
    ),
    bash!(
        "text/awk",
        "awk '{c[$2]+=$3; n[$2]++} END {for (k in c) printf \"%s %d %.3f\\n\", k, c[k], c[k]/n[k]}' data.txt | sort; awk 'BEGIN {while ((\"echo a b\" | getline l) > 0) print l; system(\"exit 3\"); printf \"%c%s\\n\", 65, substr(\"hello\",2,3)}'"
    ),
    bash!(
        "text/sed",
        "sed -n '1~100{s/\\([a-z]*\\) \\([0-9]*\\)/\\2 \\1/;p}' data.txt; sed -i 's/alpha/omega/g' data.txt && grep -c omega data.txt; sed ':a;N;$!ba;s/\\n/,/g' tree/part0.txt | md5sum"
    ),
    bash!(
        "text/diff",
        "sed 's/beta/BETA/' data.txt > other; diff -u data.txt other | tail -n +3 | md5sum; cmp data.txt other | cut -d, -f2"
    ),
    Case {
        needs: &["perl"],
        ..direct(
            "perl/script",
            &[
                "perl",
                "-MList::Util=sum,shuffle",
                "-e",
                r#"srand(1); my %h; while (<>) { my @f = split; push @{$h{$f[1]}}, $f[2]; } for (sort keys %h) { printf "%s %d %.4f\n", $_, scalar @{$h{$_}}, sum(@{$h{$_}})/@{$h{$_}} } my $s = join ",", map { sprintf "%x", $_ ** 2 } 1..300; $s =~ s/(\d)([a-f])/$2$1/g; print length($s), "\n", unpack("%32C*", $s), "\n"; print sqrt(2), " ", 1e100, " ", 10 ** 20, "\n";"#,
                "data.txt",
            ],
        )
    },
    Case {
        needs: &["perl"],
        ..direct(
            "perl/processes",
            &[
                "perl",
                "-e",
                r#"$| = 1; $SIG{USR1} = sub { print "usr1\n" }; kill USR1 => $$; my $pid = fork; if (!$pid) { print "child\n"; exit 6 } waitpid $pid, 0; print $? >> 8, "\n"; eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; select undef, undef, undef, 10; }; print $@; open my $p, "-|", "echo piped; exit 2"; print <$p>; close $p; print $? >> 8, "\n"; print `echo backticks`; exec "echo", "exec";"#,
            ],
        )
    },
    Case {
        needs: &["perl"],
        ends: "signal 9",
        partial: true,
        ..direct(
            "perl/kills-itself",
            &["perl", "-e", "$| = 1; print qq(before\\n); kill KILL => $$; sleep 10"],
        )
    },
    direct(
        "python/script",
        &[
            "/usr/bin/python3",
            "-c",
            "import json, re, math, hashlib, collections, itertools, decimal\nd = {str(i): [i, math.sqrt(i)] for i in range(300)}\ns = json.dumps(d, sort_keys=True)\nassert json.loads(s) == d\nprint(hashlib.sha256(s.encode()).hexdigest())\nprint(len(re.findall(r'\\d+\\.\\d', s)))\nprint(sum(1 for p in itertools.permutations(range(7)) if p[0] < p[-1]))\nprint(decimal.Decimal(2).sqrt(), 2**200, collections.Counter('mississippi').most_common(2))\nclass A:\n  def __init__(s, n): s.n = n\n  def __del__(s): pass\nprint(sum(a.n for a in [A(i) for i in range(20000)]))",
        ],
    ),
    direct(
        "python/threads",
        &[
            "/usr/bin/python3",
            "-c",
            "import threading, queue, subprocess, signal, os\nq = queue.Queue()\nts = [threading.Thread(target=lambda i=i: q.put(sum(range(i * 1000)))) for i in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nprint(sorted(q.queue))\nprint(subprocess.run(['sh', '-c', 'echo sub; exit 4'], capture_output=True))\nsignal.signal(signal.SIGUSR1, lambda *a: print('signal', a[0]))\nos.kill(os.getpid(), signal.SIGUSR1)\npid = os.fork()\nif pid == 0:\n  os._exit(11)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        ],
    ),
    Case {
        ends: "exit 1",
        errors: Errors::Ignored,
        ..direct(
            "python/exception",
            &["/usr/bin/python3", "-c", "print('x', flush=True); raise ValueError(3)"],
        )
    },
    python_tests!("test_json", 120, false),
    python_tests!("test_re", 120, false),
    python_tests!("test_mmap", 120, false),
    python_tests!("test_threading", 300, false),
    python_tests!("test_subprocess", 400, true),
    python_tests!("test_signal", 300, true),
    python_tests!("test_asyncio", 900, true),
    Case {
        needs: &["sqlite3"],
        stdin: "create table t(id integer primary key, a text, b real);\nwith recursive n(i) as (select 1 union all select i+1 from n where i<3000) insert into t select i, printf('%05d', i*7919%3001), i*0.37 from n;\ncreate index x on t(a);\nselect count(*), sum(b), max(a) from t where a > '01000';\nselect a, round(avg(b),3) from t group by substr(a,1,2) order by 2 desc limit 10;\nbegin; update t set b = b * 2 where id % 3 = 0; rollback;\nexplain query plan select * from t where a = '00007';\ndelete from t where id % 2; vacuum; pragma integrity_check;\nselect json_object('n', count(*)) from t;\n",
        ..direct("sqlite/file", &["sqlite3", "test.db"])
    },
    Case {
        needs: &["sqlite3"],
        ends: "exit 1",
        ..direct("sqlite/error", &["sqlite3", ":memory:", "select * from nothing;"])
    },
    Case {
        needs: &["git"],
        env: GIT,
        ..bash!(
            "git/work",
            "git init -q -b main r && cd r && cp -r ../tree . && git add . && git commit -qm first && git log --stat --format='%H %an %s' && sed -i s/alpha/ALPHA/ tree/part0.txt && git diff --stat && git commit -qam second && git gc -q && git fsck && git clone -q . ../c && git -C ../c log --oneline && git checkout -qb side HEAD~1 && echo x > new && git add new && git commit -qm third && git merge -q main -m merge && git log --graph --oneline && git blame -s tree/part0.txt | head -3 && git archive HEAD | md5sum"
        )
    },
    Case {
        needs: &["gcc"],
        prepare: C_SOURCE,
        ..bash!(
            "gcc/c",
            "gcc -O2 -Wall -c p.c -o p.o && md5sum p.o && gcc p.o -o p -lm && ./p 1000; gcc -O2 -S p.c -o - | md5sum; gcc -c nothing.c 2>/dev/null; echo $?"
        )
    },
    Case {
        needs: &["g++"],
        prepare: CPP_SOURCE,
        seconds: 120,
        ..bash!("gcc/cpp", "g++ -O2 -std=c++17 -c p.cpp -o p.o && md5sum p.o && g++ p.o -o p && ./p")
    },
    Case {
        needs: &["clang"],
        prepare: C_SOURCE,
        ..bash!("clang/c", "clang -O2 -c p.c -o p.o && md5sum p.o && clang p.o -o p -lm && ./p 1000")
    },
    Case {
        needs: &["rustc"],
        prepare: RUST_SOURCE,
        seconds: 180,
        ..bash!("rust/rustc", "rustc --edition 2021 -O -C codegen-units=2 m.rs -o m && ./m")
    },
    Case {
        needs: &["cargo"],
        prepare: "cargo init -q --name small --vcs none small && cd small && printf 'fn main() { let v: Vec<u64> = (1..50).map(|x| x * x).collect(); println!(\"{:?}\", v); }' > src/main.rs",
        seconds: 180,
        errors: Errors::Ignored,
        ..bash!(
            "rust/cargo",
            "cd small && cargo build -q --offline && ./target/debug/small && cargo run -q --offline | md5sum"
        )
    },
    Case {
        needs: &["node"],
        seconds: 120,
        ..direct(
            "node/jit",
            &[
                "node",
                "-e",
                "function f(n) { let s = 0; for (let i = 0; i < n; i++) { s = (s * 31 + i % 7) | 0; } return s; } let r = []; for (let k = 0; k < 50; k++) r.push(f(20000 + k)); console.log(r.join(' ')); class A { constructor(x) { this.x = x } get y() { return this.x * 2 } } let t = 0; for (let i = 0; i < 300000; i++) t += new A(i).y; console.log(t); console.log(JSON.stringify(Array.from({length: 50}, (_, i) => ({i, s: 'x'.repeat(i)}))).length); const m = new Map(); for (let i = 0; i < 50000; i++) m.set('k' + i % 1000, i); console.log(m.size, /a+b/.test('caaab')); setTimeout(() => console.log('timer'), 10); Promise.resolve().then(() => console.log('micro'));",
            ],
        )
    },
    Case {
        needs: &["node"],
        seconds: 120,
        ..direct(
            "node/processes",
            &[
                "node",
                "-e",
                "const {execFileSync, spawn} = require('child_process'); const {Worker} = require('worker_threads'); console.log(execFileSync('echo', ['sync']).toString().trim()); const c = spawn('sh', ['-c', 'read x; echo got $x; exit 5']); c.stdout.on('data', d => process.stdout.write(d)); c.on('close', (code) => { console.log('code', code); const w = new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)', {eval: true}); w.on('message', m => console.log('worker', m)); }); c.stdin.end('line\\n');",
            ],
        )
    },
    Case {
        needs: &["java", "javac"],
        prepare: "printf 'public class H { public static void main(String[] a) { System.out.println(\"hello \" + a.length); } }' > H.java && javac H.java",
        seconds: 180,
        errors: Errors::Ignored,
        ..direct("java/hello", &["java", "-Xshare:auto", "-cp", ".", "H", "x", "y"])
    },
    Case {
        needs: &["java", "javac"],
        prepare: JAVA_SOURCE,
        seconds: 240,
        errors: Errors::Ignored,
        ..direct("java/threads", &["java", "-Xmx256m", "-cp", ".", "T"])
    },
    Case {
        needs: &["java", "javac"],
        prepare: JAVA_SOURCE,
        seconds: 300,
        long: true,
        errors: Errors::Ignored,
        ..direct("java/interpreter", &["java", "-Xint", "-Xmx256m", "-cp", ".", "T"])
    },
    Case {
        needs: &["redis-server", "redis-benchmark", "redis-cli"],
        seconds: 180,
        errors: Errors::Ignored,
        ..bash!(
            "redis/benchmark",
            "redis-server --port 0 --unixsocket s.sock --save '' --daemonize no > log 2>&1 & server=$!; for i in $(seq 200); do redis-cli -s s.sock ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done; redis-benchmark -s s.sock -n 4000 -c 10 -t set,get,incr,lpush,zadd --csv 2>/dev/null | cut -d, -f1; redis-cli -s s.sock eval 'local s = 0 for i = 1, 1000 do s = s + i end return s' 0; redis-cli -s s.sock incrby counter 41; redis-cli -s s.sock shutdown nosave; wait $server; echo $?"
        )
    },
    Case {
        needs: &["busybox"],
        ..direct(
            "busybox/shell",
            &[
                "busybox",
                "sh",
                "-c",
                "for i in 1 2 3; do busybox seq $i | busybox awk '{s+=$1} END {print s}'; done; busybox md5sum data.txt; busybox gzip -c data.txt | busybox gunzip | busybox wc -l; trap 'echo trap' EXIT; (exit 4); echo $?",
            ],
        )
    },
    Case {
        needs: &["busybox"],
        ..direct(
            "busybox/tools",
            &["busybox", "find", "tree", "-name", "*.txt", "-exec", "busybox", "wc", "-c", "{}", ";"],
        )
    },
    Case {
        needs: &["bc"],
        stdin: "scale=60; 4*a(1); 2^500; define f(n) { if (n < 2) return n; return f(n-1)+f(n-2); } f(15)\n",
        ..direct("bc", &["bc", "-lq"])
    },
    Case {
        needs: &["openssl"],
        ..bash!(
            "openssl",
            "openssl dgst -sha512 data.txt; openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -nosalt -in data.txt | md5sum; openssl prime 1000003"
        )
    },
    Case {
        needs: &["make"],
        prepare: "printf 'all: a b\\n\\t@echo linked\\nb: a\\na b: %%: data.txt\\n\\t@echo making $@; md5sum $< > $@\\n' > Makefile",
        ..direct("make", &["make", "-s", "-j2", "--output-sync=none", "a", "all"])
    },
    Case {
        needs: &["script"],
        errors: Errors::Ignored,
        partial: true,
        ..bash!(
            "terminal/script",
            "script -qec 'tty > /dev/null && echo a terminal; stty size; bash -ic \"echo interactive; exit 3\"' /dev/null 2>&1 < /dev/null | grep -v warning; echo ${PIPESTATUS[0]}"
        )
    },
];

const GIT: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "A"),
    ("GIT_AUTHOR_EMAIL", "a@example.org"),
    ("GIT_AUTHOR_DATE", "1234567890 +0000"),
    ("GIT_COMMITTER_NAME", "C"),
    ("GIT_COMMITTER_EMAIL", "c@example.org"),
    ("GIT_COMMITTER_DATE", "1234567890 +0000"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
];

const C_SOURCE: &str = r##"cat > p.c <<'X'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct tree { struct tree *l, *r; double v; };
static struct tree *add(struct tree *t, double v) {
    if (!t) { t = calloc(1, sizeof *t); t->v = v; return t; }
    if (v < t->v) t->l = add(t->l, v); else t->r = add(t->r, v);
    return t;
}
static double walk(struct tree *t, int d) { return t ? walk(t->l, d + 1) + t->v / d + walk(t->r, d + 1) : 0; }
int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 10;
    struct tree *t = NULL;
    for (int i = 0; i < n; i++) t = add(t, fmod(sin(i) * 1000, 97));
    printf("%.9f\n", walk(t, 1));
    char text[200];
    for (int i = 0; i < 20; i++) snprintf(text, sizeof text, "%*d|%-10s|%e", i, i, "pad", exp(i));
    puts(text);
    return 0;
}
X"##;

const CPP_SOURCE: &str = r##"cat > p.cpp <<'X'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct Fib { static constexpr long value = Fib<N - 1>::value + Fib<N - 2>::value; };
template <> struct Fib<1> { static constexpr long value = 1; };
template <> struct Fib<0> { static constexpr long value = 0; };
int main() {
    std::map<std::string, std::vector<int>> m;
    for (int i = 0; i < 5000; i++) m[std::to_string(i % 97)].push_back(i * i);
    long sum = 0;
    for (auto &[k, v] : m) { std::sort(v.rbegin(), v.rend()); sum += v[0] + k.size(); }
    std::regex re("(\\w+)@(\\w+)\\.org");
    std::smatch match;
    std::string s = "write to someone@example.org";
    std::cout << std::regex_search(s, match, re) << match[2] << ' ' << sum << ' ' << Fib<80>::value << '\n';
    std::variant<int, std::string> x = "text";
    try { std::get<int>(x); } catch (const std::bad_variant_access &e) { std::cout << e.what() << '\n'; }
}
X"##;

const RUST_SOURCE: &str = r##"cat > m.rs <<'X'
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq)]
enum Token { Number(f64), Op(char) }
fn tokens(text: &str) -> Vec<Token> {
    text.split_whitespace()
        .map(|word| word.parse().map(Token::Number).unwrap_or_else(|_| Token::Op(word.chars().next().unwrap())))
        .collect()
}
fn main() {
    let list = tokens("1 2 + 3.5 *");
    println!("{list:?}");
    let mut counts = BTreeMap::new();
    for word in (0..2000).map(|n| format!("{}", n * n % 53)) { *counts.entry(word).or_insert(0) += 1; }
    println!("{:?}", counts.iter().take(5).collect::<Vec<_>>());
}
X"##;

const JAVA_SOURCE: &str = r##"cat > T.java <<'X'
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;
public class T {
    static int nulls(String s) { try { return s.length(); } catch (NullPointerException e) { return -1; } }
    static int deep(int n) { return deep(n + 1) + 1; }
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            final int k = i;
            results.add(pool.submit(() -> { long s = 0; for (int j = 0; j < 200000; j++) s += (j ^ k) % 13; return s; }));
        }
        long total = 0;
        for (Future<Long> r : results) total += r.get();
        pool.shutdown();
        System.out.println(pool.awaitTermination(10, TimeUnit.SECONDS) + " " + total);
        int n = 0;
        for (int i = 0; i < 20000; i++) n += nulls(i % 100 == 0 ? null : "abc");
        System.out.println(n);
        try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
        Object lock = new Object();
        AtomicInteger turns = new AtomicInteger();
        Thread[] ts = new Thread[4];
        for (int i = 0; i < 4; i++) {
            ts[i] = new Thread(() -> { for (int j = 0; j < 2000; j++) synchronized (lock) { turns.incrementAndGet(); byte[] b = new byte[1000]; b[5] = 1; } });
            ts[i].start();
        }
        for (Thread t : ts) t.join();
        System.out.println(turns.get());
        System.gc();
        Map<Integer, Long> lengths = IntStream.range(0, 10000).parallel().mapToObj(x -> "" + x).collect(Collectors.groupingBy(String::length, TreeMap::new, Collectors.counting()));
        System.out.println(lengths);
        Process p = new ProcessBuilder("sh", "-c", "echo child; exit 6").redirectErrorStream(true).start();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println(p.waitFor());
    }
}
X
javac T.java"##;
