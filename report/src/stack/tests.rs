//! Whose code frames are, the frame that a sentence names, folding.

use super::*;

fn frame<'a>(function: &'a str, file: &'a str, module: &'a str) -> Frame<'a> {
    Frame {
        address: 0x1000,
        function,
        file,
        line: if file.is_empty() { 0 } else { 7 },
        module,
        inlined: false,
    }
}

/// Origin by name alone, in the user's own module.
fn by_name(function: &str) -> Origin {
    frame(function, "", "/home/u/app").origin()
}

#[test]
fn allocators() {
    let names = [
        "malloc",
        "calloc",
        "realloc",
        "posix_memalign",
        "aligned_alloc",
        "__libc_malloc",
        "_int_malloc",
        "__rust_alloc",
        "__rust_realloc",
        "__rust_alloc_zeroed",
        "__rustc::__rust_alloc",
        "__rustc[4e01ac]::__rdl_alloc",
        "__rg_alloc",
        "_rjem_malloc",
        "mi_malloc",
        "mi_malloc_aligned",
        "tc_malloc",
        "je_calloc",
        "operator new(unsigned long)",
        "operator new[](unsigned long, std::nothrow_t const&)",
        "operator delete(void*)",
        "malloc@@GLIBC_2.2.5",
    ];
    for name in names {
        assert_eq!(by_name(name), Origin::Allocator, "{name}");
    }
    for name in
        ["xmalloc", "my_malloc", "app::malloc_all", "Pool::new", "zalloc", "new", "freeze", "tc_setup"]
    {
        assert_eq!(by_name(name), Origin::Own, "{name}");
    }
}

#[test]
fn standard_libraries_by_name() {
    let names = [
        "alloc::vec::Vec<T,A>::push",
        "alloc::alloc::alloc",
        "core::ops::function::FnOnce::call_once",
        "core::ops::function::FnOnce::call_once{{vtable.shim}}",
        "std::rt::lang_start::{{closure}}",
        "<alloc::vec::Vec<app::Node> as core::clone::Clone>::clone",
        "<alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once",
        "<T as alloc::slice::hack::ConvertVec>::to_vec",
        "<T as core::convert::Into<U>>::into",
        "<[u8]>::to_vec",
        "<str as alloc::string::ToString>::to_string",
        "<&alloc::vec::Vec<u8> as core::fmt::Debug>::fmt",
        "std::vector<int, std::allocator<int> >::push_back(int const&)",
        "void std::vector<app::Node>::_M_realloc_insert<app::Node>(int)",
        "std::__cxx11::basic_string<char>::operator=(char const*)",
        "__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)",
        "core[1e9b27a1]::ptr::drop_in_place::<app::Node>",
    ];
    for name in names {
        assert_eq!(by_name(name), Origin::Standard, "{name}");
    }
}

#[test]
fn own_code_by_name() {
    let names = [
        "app::main",
        "app::main::{{closure}}",
        "<app::Node as core::clone::Clone>::clone",
        "<T as app::Tree>::grow",
        "std::string app::name(int)",
        "std::vector<int> make<int>(std::vector<int>&)",
        "app::operator<<(std::ostream&, app::Node const&)",
        "(anonymous namespace)::helper(int)",
        "setup",
        "standard::run",
        "core_main(int)",
        "",
        "<<<",
        "operator",
    ];
    for name in names {
        assert_eq!(by_name(name), Origin::Own, "{name}");
    }
}

#[test]
fn files_decide_when_they_are_known() {
    let app = "/home/u/app";
    let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6";
    let cases = [
        ("core::run", "/home/u/src/core.cpp", app, Origin::Own),
        ("alloc::vec::Vec<T>::push", "/rustc/9fc6b431/library/alloc/src/vec/mod.rs", app, Origin::Standard),
        (
            "alloc::vec::Vec<T>::push",
            "/home/u/.rustup/toolchains/s/lib/rustlib/src/rust/library/alloc/src/vec/mod.rs",
            app,
            Origin::Standard,
        ),
        (
            "serde_json::from_str",
            "/home/u/.cargo/registry/src/i/serde_json-1/src/de.rs",
            app,
            Origin::Library,
        ),
        ("std::vector<int>::f()", "/usr/include/c++/12/bits/stl_vector.h", app, Origin::Standard),
        ("std::make_unique<int>(int&&)", "/usr/lib/gcc/x/12/include/c++/bits/x.h", app, Origin::Standard),
        ("g_malloc", "/usr/include/glib.h", app, Origin::Library),
        ("run", "/usr/src/app/main.c", "/usr/src/app/a.out", Origin::Own),
        ("run", "/usr/src/debug/foo-1/main.c", "/usr/bin/foo", Origin::Library),
        ("strdup", "./string/./string/strdup.c", libc, Origin::Library),
        ("strdup", "./string/strdup.c", app, Origin::Library),
        ("fopen", "", libc, Origin::Library),
        ("parse", "/build/foo-1/parse.c", "/usr/bin/foo", Origin::Library),
        ("parse", "/build/foo-1/parse.c", "/build/foo-1/foo", Origin::Own),
        ("parse", "src/parse.c", app, Origin::Own),
        ("parse", "", "/usr/local/bin/foo", Origin::Own),
        ("__libc_start_main", "../csu/libc-start.c", libc, Origin::Start),
        ("", "", "[vdso]", Origin::Library),
    ];
    for (function, file, module, expected) in cases {
        assert_eq!(frame(function, file, module).origin(), expected, "{function} {file} {module}");
    }
}

/// `function|file|module` lines, innermost first.
fn stack<'a>(lines: &[&'a str]) -> Vec<Frame<'a>> {
    lines
        .iter()
        .map(|line| {
            let mut parts = line.split('|');
            let mut next = || parts.next().unwrap_or("");
            frame(next(), next(), next())
        })
        .collect()
}

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

#[test]
fn the_sentence_names_the_first_own_frame() {
    let rust = stack(&[
        "malloc||/lib/libc.so.6",
        "alloc::alloc::alloc|/rustc/1/library/alloc/src/alloc.rs|/t/jit",
        "alloc::boxed::Box<T>::new|/rustc/1/library/alloc/src/boxed.rs|/t/jit",
        "jit::setup|/t/src/jit.rs|/t/jit",
        "jit::main|/t/src/main.rs|/t/jit",
    ]);
    assert_eq!(user_frame(&rust, "/t/jit"), Some(3));
    assert_eq!(rust[3].place(), "jit::setup (jit.rs:7)");
    let system = stack(&[
        "malloc||/lib/libc.so.6",
        "strdup||/lib/libc.so.6",
        "run||/usr/bin/foo",
        "main||/usr/bin/foo",
    ]);
    assert_eq!(user_frame(&system, "/usr/bin/foo"), Some(2), "the program itself before its libraries");
    assert_eq!(user_frame(&system[..2], "/usr/bin/foo"), Some(1), "a library before the allocator");
    assert_eq!(user_frame(&system[..1], "/usr/bin/foo"), Some(0));
    assert_eq!(user_frame(&[], ""), None);
}

#[test]
fn what_calls_main_is_cut() {
    let lines = ["malloc||", "f|a.c|/a", "main|a.c|/a", "__libc_start_call_main||", "_start||"];
    let frames = stack(&lines);
    assert_eq!(above_main(&frames).len(), 3);
    let thread = stack(&["malloc||", "worker|a.c|/a", "start_thread||", "clone3||"]);
    assert_eq!(above_main(&thread).len(), 2);
    let start_only = stack(&["_start||/a"]);
    assert_eq!(above_main(&start_only).len(), 1, "never empties a stack");
    assert_eq!(above_main(&[]).len(), 0);
}

#[test]
fn internal_runs_are_folded() {
    let frames = stack(&[
        "malloc||/lib/libc.so.6",
        "alloc::alloc::alloc||/a",
        "alloc::vec::Vec<T>::push||/a",
        "app::f|/t/a.rs|/a",
        "core::ops::function::FnOnce::call_once||/a",
        "app::main|/t/a.rs|/a",
        "std::sys::backtrace::__rust_begin_short_backtrace||/a",
        "std::rt::lang_start::{{closure}}||/a",
        "main||/a",
    ]);
    use Line::*;
    assert_eq!(fold(&frames), [Frame(0), Folded(1..3), Frame(3), Frame(4), Frame(5), Folded(6..9)]);
    assert_eq!(fold(&frames[..2]), [Frame(0), Frame(1)], "one frame is not worth a fold");
    assert_eq!(fold(&[]), []);
}

#[test]
fn frames_are_worded_as_valgrind_words_them() {
    let mut f = frame("main", "/t/leak.c", "/t/leak");
    f.address = 0x10915a;
    assert_eq!(f.valgrind(), "0x10915A: main (leak.c:7)");
    f.line = 0;
    assert_eq!(f.valgrind(), "0x10915A: main (leak.c)");
    f.file = "";
    assert_eq!(f.valgrind(), "0x10915A: main (in /t/leak)");
    assert_eq!(f.place(), "main (in /t/leak)");
    f.function = "";
    assert_eq!(f.valgrind(), "0x10915A: ??? (in /t/leak)");
    assert_eq!(f.place(), "code at 0x10915A in leak");
    f.module = "";
    assert_eq!(f.valgrind(), "0x10915A: ???");
    assert_eq!(f.place(), "code at 0x10915A");
    f.function = "evil\n==1== forged";
    assert_eq!(f.valgrind(), "0x10915A: evil\\n==1== forged");
    assert!(!frame("strdup", "", LIBC).place().is_empty());
}
