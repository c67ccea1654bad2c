# The trace: what one recording tells, as a stream of ordinary Cap'n Proto messages.
#
# Framing    Each message is `Message` in the standard, unpacked stream framing (u32 segments - 1, u32 words per
#            segment, padded to 8 bytes, the segment). Writers make one segment and at most 4 MiB per message; readers
#            refuse more than 32 MiB before they allocate. `capnp decode trace.capnp Message < FILE` prints a trace.
# Prefixes   Any prefix of a trace is readable: a message refers only to ids that came before it. A trace without a
#            trailer was cut short.
# Growth     Append only. Never renumber, reuse or retype a field, an arm, a column id or a code number; all defaults
#            are 0; a field that is no longer used stays, with a comment. Readers skip arms, chunk kinds, columns and
#            encodings that they do not know, and keep numbers of codes that they do not know. Only a change that
#            would make an old reader say something wrong raises `Header.formatVersion`.
# Units      Times are nanoseconds since the recording began (`Header.clock`). Instruction counts are guest
#            instructions executed by the event's thread since the thread began (0 when not counted). Sizes are bytes.
# Ids        Process, thread, module, string, frame, stack and place ids are numbers that are unique in the recording,
#            given in rising order from 1; 0 is "none". Strings, frames, stacks and places are tables that grow without
#            gaps.
# Names      Text is UTF-8. Data is used for what the kernel gives as bytes (paths, arguments, thread names).
# Unit costs Bytes per item, measured on 10^6 events: see each struct. A message costs 8 bytes of
#            framing, 8 for its root pointer and 24 for `Message`.

@0xf0df7075efb5a640;

struct Message {
  seq @0 :UInt64;                   # Number of this message in the stream, from 0; a gap is lost data.

  # One union per message and never one per event. The number is the arm that an old reader reports as skipped.
  union {
    header @1 :Header;              # Always the first message, and only there.
    process @2 :Process;
    processEnd @3 :ProcessEnd;
    threadStart @4 :ThreadStart;
    threadName @5 :ThreadName;
    threadEnd @6 :ThreadEnd;
    modules @7 :List(Module);
    moduleEnd @8 :ModuleEnd;
    strings @9 :Strings;
    frames @10 :Frames;
    symbols @11 :Symbols;
    stacks @12 :Stacks;
    chunk @13 :Chunk;
    snapshotBegin @14 :SnapshotBegin;
    snapshotBlocks @15 :SnapshotPiece;
    snapshotRoots @16 :SnapshotPiece;
    snapshotEdges @17 :SnapshotPiece;
    snapshotEnd @18 :SnapshotEnd;
    counters @19 :Counters;
    remark @20 :Remark;
    notFollowed @21 :NotFollowed;
    trailer @22 :Trailer;           # The last message of a trace that ended in order.
    errors @23 :List(Error);
    executions @24 :Executions;
    places @25 :Places;
    codeLines @26 :CodeLines;
    contexts @27 :Contexts;
    costs @28 :Costs;
    contextCosts @29 :ContextCosts;
    partEnd @30 :PartEnd;
    jumps @31 :Jumps;
    accessRuns @32 :AccessRuns;
    accessLog @33 :AccessLog;
    accessMark @34 :AccessMark;
  }
}

struct Header {
  formatVersion @0 :UInt32;         # 2.
  id @1 :Data;                      # 16 random bytes that name the recording.
  tool @2 :Text;                    # Name and version of the writer: "vg-record 0.1.0".
  argv @3 :List(Data);              # Command line of the root process.
  cwd @4 :Data;
  exe @5 :Data;                     # Absolute path of the root executable.
  clock @6 :Clock;
  options @7 :List(Text);           # Options of the recording that are not the default: "--children=no". With
                                    # --accesses=full also the caches that were simulated, as --I1, --D1 and --LL.
  machine @8 :Machine;
  checks @9 :UInt32;                # What the recording looks for and tells as errors; 0: nothing, so that a trace
                                    # without errors says nothing about the program. Bits: 1 addresses (invalid
                                    # reads, writes, jumps), 2 undefined values, 4 calls of allocators (frees,
                                    # mismatches, sizes), 8 parameters of system calls, 16 overlapping copies,
                                    # 32 file descriptors (bad closes and uses), 64 those left open at the end.
}

struct Clock {
  tscHz @0 :UInt64;                 # Ticks of the time stamp counter per second; 0 when it was not used.
  tscStart @1 :UInt64;              # Its value at time 0.
  unixStart @2 :UInt64;             # Wall clock at time 0: nanoseconds since 1970-01-01 UTC.
}

struct Machine {
  host @0 :Text;
  kernel @1 :Text;                  # "Linux 6.12.0 x86_64".
  cpu @2 :Text;                     # Model name.
  cpus @3 :UInt32;                  # Processors that the recording could use.
  pageSize @4 :UInt32;              # Bytes.
  memory @5 :UInt64;                # Bytes of physical memory.
}

# A process begins, or executes another program: then once more with the same number, how = 3.
struct Process {
  number @0 :UInt32;
  parent @1 :UInt32;                # Number of the process that started it; 0 for the root.
  pid @2 :UInt32;
  ppid @3 :UInt32;
  how @4 :UInt16;                   # 0 root, 1 fork, 2 vfork, 3 exec.
  time @5 :UInt64;
  exe @6 :Data;                     # Absolute path.
  argv @7 :List(Data);
  cwd @8 :Data;
  environment @9 :List(Data);       # Excerpt, NAME=VALUE; may be empty.
}

struct ProcessEnd {
  process @0 :UInt32;
  time @1 :UInt64;
  how @2 :UInt16;                   # See `endState` below.
  value @3 :UInt32;                 # Exit status or signal number.
  instructions @4 :UInt64;          # Of the thread that ended the process.
}
# endState: 0 exit (value = status), 1 fatal signal (value = number), 2 exec of a program that is recorded too,
# 3 exec of a program that runs natively, 4 the engine failed (a remark tells why), 5 lost: killed from outside or
# the recorder ended first (value = signal number when known).

struct ThreadStart {
  number @0 :UInt32;
  process @1 :UInt32;
  tid @2 :UInt32;                   # The kernel's id, which may be used again by a later thread.
  parent @3 :UInt32;                # Number of the thread that started it; 0 when not known.
  time @4 :UInt64;
}

struct ThreadName {
  thread @0 :UInt32;
  name @1 :Data;
}

# A thread that ended in order.
struct ThreadEnd {
  thread @0 :UInt32;
  time @1 :UInt64;
  instructions @2 :UInt64;
}

struct Module {
  id @0 :UInt32;
  process @1 :UInt32;               # 0: seen by every process.
  path @2 :Data;                    # "[vdso]" for the vdso.
  buildId @3 :Data;                 # GNU build id; empty when the file has none.
  start @4 :UInt64;                 # Lowest mapped address.
  size @5 :UInt64;                  # Spans all segments.
  bias @6 :UInt64;                  # Address in memory - address in the file's program headers (wraps).
  time @7 :UInt64;                  # Loaded.
  flags @8 :UInt32;                 # As the engine gave them.
}

# A module was unmapped.
struct ModuleEnd {
  module @0 :UInt32;
  time @1 :UInt64;
}

# Appends strings: the n-th is bytes[ends[n-1]..ends[n]], id firstId + n. 4 bytes and its length each.
struct Strings {
  firstId @0 :UInt32;
  bytes @1 :Data;                   # UTF-8, one after the other, nothing between them.
  ends @2 :List(UInt32);
}

# Appends frames (code addresses). 13 bytes each.
struct Frames {
  firstId @0 :UInt32;
  module @1 :List(UInt32);          # 0: no module; rva is then the absolute address.
  rva @2 :List(UInt64);             # Address - module bias.
  flags @3 :List(UInt8);            # 1: an exact pc, and not a return address; 2: guessed, no unwind information.
}

# What frames are called. May come later than the frames; a later entry for the same frame replaces the earlier one.
# 8 bytes a frame and 20 a place.
struct Symbols {
  frame @0 :List(UInt32);
  ends @1 :List(UInt32);            # Places of frame[n]: ends[n-1]..ends[n], innermost inlined function first.
  function @2 :List(UInt32);        # String: demangled name; 0 when not known.
  rawName @3 :List(UInt32);         # String: name in the symbol table or DWARF linkage name.
  file @4 :List(UInt32);            # String: path of the source file.
  line @5 :List(UInt32);            # From 1; 0 when not known.
  column @6 :List(UInt32);          # From 1; 0 when not known.
}

# Appends nodes of the stack tree. A stack is named by its innermost node. 8 bytes each.
struct Stacks {
  firstId @0 :UInt32;
  parent @1 :List(UInt32);          # Node of the caller, less than this node's id; 0 for the outermost frame.
  frame @2 :List(UInt32);
}

# Values of one field for all rows of a chunk, snapshot piece, executions or codeLines that have the field; or of a log.
struct Column {
  id @0 :UInt16;                    # Which field: numbers at the struct that holds the columns.
  encoding @1 :UInt8;               # See below.
  codec @2 :UInt8;                  # 0 none, 1 lz4 block, 2 zstd frame.
  shift @3 :UInt8;                  # Values are shifted right by so many bits before they are encoded (0..63);
                                    # with encoding 5: the bits per value (0..64), and no shift.
  values @4 :UInt32;                # At most `count` of the struct that holds the columns.
  rawBytes @5 :UInt32;              # Bytes after decompression; at most 16 x values + 64.
  base @6 :UInt64;                  # Encodings 2 and 3: what the first difference is added to.
  crc32 @7 :UInt32;                 # CRC-32 (IEEE 802.3, as in zip and zlib) of `data`.
  data @8 :Data;
}
# encoding: 0 little endian u64; 1 blocks; 2 blocks of the differences to the previous value (rising values); 3 the
# same, zigzag; 4 run pairs: uvarint value, uvarint length (LEB128); 5 bits: values of `shift` bits packed from the
# lowest bit up; 6 each value as uvarint. A block holds 16 values, the last one the rest: one byte with a number of bits
# (0..64), then the values in so many bits each as in 5, up to a whole byte.
# A column that is short or that does not shrink is stored with codec 0. An unknown encoding or codec makes a column
# unreadable, as if it were not there.

# Events of one process. At most 65536 rows (writers cut at 16384). The events of a thread are in program order;
# events of different threads are in the order in which the recorder met them: sort by time where that matters.
struct Chunk {
  kind @0 :UInt16;                  # 1: heap events. A number and no enum, so that readers can skip others.
  process @1 :UInt32;
  count @2 :UInt32;                 # Rows.
  firstTime @3 :UInt64;             # Least and greatest time of the rows.
  lastTime @4 :UInt64;
  columns @5 :List(Column);         # A column that is not marked * may be absent: its values are 0.
}
# Columns of heap events (kind 1). Bytes an event without a codec, for a synthetic heap with 48 % frees: op 0.1, time
# 1.1 (events 120 ns apart in the mean) to 1.9 (600 ns), instr 1.8 to 2, address 2.7, stack 1.6, size 0.6; together
# 7.9 to 8.9. Of real programs, without instr: 2.3 to 5. Writers store times as they are, and for a while also columns
# that a codec has not halved. A row whose op is unknown has all columns but oldAddress.
#   1 op *       every row: 0 allocation, 1 free, 2 realloc of a live block
#   2 time       every row
#   3 instr      every row
#   4 thread     every row
#   5 address *  every row (realloc: the new address)
#   6 stack      every row
#   7 family     every row: 0 malloc, 1 new, 2 new[], 3 client request, 4 pool; of a free: the family that frees
#   8 size *     every row that is not a free
#   9 align      every row that is not a free: log2 of the alignment asked for; 0 when none was asked for
#  10 oldAddress * reallocs

# The heap of a process at one moment: begin, then blocks, roots and edges in pieces, then end.
struct SnapshotBegin {
  process @0 :UInt32;
  snapshot @1 :UInt32;              # Number of the snapshot in its process, from 0; goes on over exec.
  reason @2 :UInt16;                # 0 process exit, 1 fatal signal, 2 user request, 3 client request, 4 exec.
  time @3 :UInt64;
}

# Rows of a snapshot, at most 65536 in a piece.
struct SnapshotPiece {
  process @0 :UInt32;
  snapshot @1 :UInt32;
  count @2 :UInt32;
  columns @3 :List(Column);
}
# Columns of snapshotBlocks: live blocks by rising address; the n-th over all pieces has index n, from 0. 4.6 bytes.
#   1 address *   2 size *   3 stack (of the allocation)   4 family   5 align (log2)
# Columns of snapshotRoots: words outside of the heap that point at blocks. 6.4 bytes.
#   1 where *   address of the word, or the register's number (0 rax .. 15 r15) when flags say so
#   2 block *   index
#   3 flags *   1 points to the start; heuristics that accept an interior pointer as a start: 2 stdstring,
#               4 length64, 8 newarray, 16 multipleinheritance. Bits 8..10: 1 register, 2 stack, 3 data segment,
#               4 other mapping, 5 static thread-local storage
#   4 thread    owner of the register, stack or thread-local storage; 0 for others
#   5 offset    bytes from the start of the block
# Columns of snapshotEdges: words in blocks that point at blocks, by rising address. 3.9 bytes.
#   1 source *   index   2 target *   index   3 offset *   of the word in the source   4 flags *   as above, bits 0..4

struct SnapshotEnd {
  process @0 :UInt32;
  snapshot @1 :UInt32;
  blocks @2 :UInt64;                # Rows that the pieces hold together.
  roots @3 :UInt64;
  edges @4 :UInt64;
  scanned @5 :UInt64;               # Bytes of memory scanned.
}

# A distinct error of a process: one entry for each kind, place and whole stack. A later entry of the same process and
# number replaces `count` and, where it has one, `about`, which then names the variable; it is ignored but for that: the
# other fields may be empty there. 240 bytes with an address and an origin.
struct Error {
  number @0 :UInt32;                # In its process, from 1; goes on over exec.
  process @1 :UInt32;
  thread @2 :UInt32;                # That met it first.
  kind @3 :UInt16;                  # See `errorKind` below.
  count @4 :UInt64;                 # How often so far; at least 1.
  time @5 :UInt64;                  # Of the first time.
  instructions @6 :UInt64;
  flags @7 :UInt32;                 # 1: bytes were unaddressable (otherwise undefined); kinds 11 and 17.
  size @8 :UInt64;                  # See errorKind.
  stack @9 :UInt32;
  address @10 :UInt64;              # That was accessed, jumped to, freed or named; 0 when the kind has none.
  about @11 :AddressInfo;           # What lies at `address`. Absent: not described.
  origin @12 :Origin;               # Of the undefined bits. Absent: the error is not about them.
  text @13 :Text;                   # See errorKind.
  otherAddress @14 :UInt64;
  value @15 :Int64;
  wanted @16 :UInt64;
  given @17 :UInt64;
  descriptor @18 :Descriptor;       # Kinds 20 to 22.
}
# errorKind, with Valgrind's names:
#    1 InvalidRead      size bytes at address
#    2 InvalidWrite     the same
#    3 InvalidJump      to address
#    4 InvalidFree      of address: free, delete, delete[] or realloc
#    5 MismatchedFree   of address by another family (wanted: family of the block, given: of the free)
#    6 MismatchedAllocateDeallocateSize       wanted: size of the block, given: size that was passed; text: the
#                       functions ("new[]/delete[]"; empty: "new/delete")
#    7 MismatchedAllocateDeallocateAlignment  wanted: alignment of the block, given: of the free; 0: the default; text as
#                       of 6
#    8 UninitCondition  a branch depends on undefined bits
#    9 UninitValue      size bytes of undefined value used as an address
#   10 Overlap          text: function ("memcpy"); address: destination, otherAddress: source, size: bytes (0: a
#                       function without a length, as strcpy)
#   11 SyscallParam     text: "write(buf)". address: the bytes it points to; 0: the parameter itself
#   12 FishyValue       text: function ("malloc"), with its argument where that is not "size" ("calloc(nmemb)"); value:
#                       the argument, which is negative if signed
#   13 ReallocSizeZero  address: the block
#   14 InvalidAlignment text: function; given: the alignment
#   15 InvalidSize      text: function; given: the size
#   16 InvalidSizeAndAlignment  text: function; size, given: the alignment
#   17 ClientCheck      address: the first bad byte of a range that the program asked to check
#   18 InvalidMemPool   address: of the pool
#   19 FatalSignal      value: number of the signal; given: its si_code (32 bits); address: si_addr
#   20 FdNotClosed      open at the end of the process
#   21 FdBadClose       closed when it was not open
#   22 FdBadUse         used when it was not open; text: system call

# What an address is.
struct AddressInfo {
  kind @0 :UInt16;                  # See below.
  start @1 :UInt64;                 # First byte of the block, variable, symbol or mapping.
  size @2 :UInt64;                  # Its bytes.
  offset @3 :Int64;                 # The address - start: negative before the block, at least `size` behind it. Kind
                                    # 6: bytes below the stack pointer.
  family @4 :UInt8;                 # Of a block, as in heap events.
  allocated @5 :UInt32;             # Stack of the block's allocation.
  freed @6 :UInt32;                 # Stack of its free.
  allocatedBy @7 :UInt32;           # Thread.
  freedBy @8 :UInt32;               # Thread.
  thread @9 :UInt32;                # Owner of the stack or thread-local storage.
  frame @10 :UInt32;                # 1 + index of the frame of Error.stack whose variables hold the address.
  text @11 :Text;                   # Variable, data symbol, section, file of a mapping, the program's name of a block.
  module @12 :UInt32;
  protection @13 :UInt8;            # Of a mapping: 1 read, 2 write, 4 execute.
  line @14 :UInt32;                 # Declaration of the variable.
  file @15 :UInt32;                 # String. With a line or a file, data of a module is a variable, else a symbol.
  part @16 :Text;                   # What of the variable holds the address: "[3].x", to be read behind its name. Empty:
                                    # the whole.
  partOffset @17 :UInt64;           # The address - first byte of that part.
}
# kind: 0 not known, 1 live block of the heap, 2 freed block, 3 block that a client request announced (malloc-like or
# of a pool), 4 block that the program described (VALGRIND_CREATE_BLOCK; text), 5 stack, 6 just below the stack pointer,
# (text: "guard page" in pages that nobody may touch), 7 data of a module (text: variable, symbol or section), 8 a mapping (text: its file), 9 not mapped, 10 code of a module,
# 11 thread-local storage, 12 a live block that was freed and used again.

# Where undefined bits were made.
struct Origin {
  kind @0 :UInt16;                  # 0 not known, 1 heap allocation, 2 stack allocation, 3 client request.
  stack @1 :UInt32;
}

struct Descriptor {
  number @0 :Int32;
  kind @1 :UInt16;                  # 0 not known, 1 file, 2 socket, 3 pipe, 4 of another kind.
  name @2 :Data;                    # Path, or "127.0.0.1:80 <-> 127.0.0.1:4000".
  opened @3 :UInt32;                # Stack; 0: not known, or inherited.
  closed @4 :UInt32;                # Stack of the close before; 0: never open.
  inherited @5 :Bool;
}

# How often a thread has executed code. Each row is a run of 1 to 16 instructions, one behind the other, that were
# executed equally often. Rows of one message rise by module and address, at most 65536. The same instruction may be in
# several messages of a thread, whose counts add up. 4.7 to 7 bytes, with 4 instructions in the mean.
struct Executions {
  process @0 :UInt32;
  thread @1 :UInt32;
  count @2 :UInt32;                 # Rows.
  columns @3 :List(Column);         # A column that is not marked * may be absent: its values are 0.
  part @4 :UInt32;                  # See partEnd.
}
# Columns:
#   1 module     as in frames: the first module of a file; 0: none, rva is then the absolute address
#   2 rva *      of the first instruction
#   3 times *    how often
#   4 lengths *  bytes of each instruction, four bits each, from the lowest four on; 0: no more. Never 0 for the first

# How often a thread has executed direct jumps, and taken them; of calls, returns and indirect jumps nothing is told here. Rows
# of one message rise by module, address and target, at most 65536. The same jump may be in several messages of a
# thread, whose counts add up. 5 to 8 bytes.
struct Jumps {
  process @0 :UInt32;
  thread @1 :UInt32;
  count @2 :UInt32;                 # Rows.
  columns @3 :List(Column);         # A column that is not marked * may be absent: its values are 0.
  part @4 :UInt32;                  # See partEnd.
}
# Columns:
#   1 module      as in executions
#   2 rva *       of the jump
#   3 distance *  to where it leads when it is taken: target - rva, as a signed number in zigzag (0 -1 1 -2: 0 1 2 3)
#   4 executed *  how often
#   5 passed      how often it was not taken; at most `executed`
#   6 conditional 1: it depends on a condition; 0: it is always taken

# The calling-context tree of a thread in a part. Rows are numbered from 1 over all messages of that; a row is a function in one
# context: called from one place of one other context. Every executed instruction is counted for the innermost function
# that was active. No function is its own ancestor: one that was called while it was active went on where it became so, and
# a row of its own (`again`) counts those calls. The contexts of signal handlers have no caller. At most 65536 rows in
# one message. 5 to 9 bytes.
struct Contexts {
  process @0 :UInt32;
  thread @1 :UInt32;
  count @2 :UInt32;                 # Rows.
  columns @3 :List(Column);         # A column that is not marked * may be absent: its values are 0.
  part @4 :UInt32;                  # See partEnd.
}
# Columns:
#   1 parent       the caller's row, less than this one's; 0: none
#   2 module       of the function, as in frames
#   3 rva          of the function's first instruction, as in executions; 0 without module: code of no known function
#   4 siteModule   of the calling instruction
#   5 siteRva      of its last byte; 0 without module: not known, as where it was jumped to
#   6 calls
#   7 cost         instructions executed in the function itself
#   8 again        row of the ancestor where the calls went on; 0: here

# What instructions have cost a process, besides that they were executed: accesses, and misses of models of caches and of branch
# predictors. A row is an instruction and an event that occurred there; rows rise by module and address in one message, at most
# 65536. What several rows tell of one instruction and event adds up. Each event that was counted has a row at address 0 without
# module, that occurred there 0 times. 2 to 4 bytes.
struct Costs {
  process @0 :UInt32;
  count @1 :UInt32;                 # Rows.
  columns @2 :List(Column);         # A column that is not marked * may be absent: its values are 0.
  part @3 :UInt32;                  # Of what the process executed; see PartEnd.
}
# Columns:
#   1 module     as in frames: the first module of a file; 0: none, rva is then the absolute address
#   2 rva *      of the instruction
#   3 event *    string: the event's name, as Callgrind's ("D1mr")
#   4 times *    how often it occurred

# What was spent in contexts of a thread themselves, besides instructions. A row is a context and an event; rows rise by context in
# one message, at most 65536, and come behind the contexts. 2 to 4 bytes.
struct ContextCosts {
  process @0 :UInt32;
  thread @1 :UInt32;
  count @2 :UInt32;                 # Rows.
  columns @3 :List(Column);         # All columns must be there.
  part @4 :UInt32;                  # That the contexts are of.
}
# Columns:
#   1 context    row of contexts
#   2 event      string: the event's name, as in costs
#   3 times      how often it occurred

# The whole stream of data accesses (vg-record --accesses=full), from which other models are simulated later. The messages of a
# process are in the order in which its own models saw what they tell. A process is here whoever has the models: children of
# vfork access in their parent's name until they execute another program.

# Runs: code that is executed from its beginning, and mostly to its end. They are numbered in a program from 0,
# after fork on from the parent's. Which accesses an instruction makes follows from its code, and so does which of the
# registers that their addresses are made of are put down where (crate `translate`, module `accesses`).
struct AccessRuns {
  process @0 :UInt32;
  first @1 :UInt32;                 # Number of the first one.
  start @2 :List(UInt64);           # Address of the first instruction, in the process.
  words @3 :List(UInt16);           # Of each record in accessLog, the first one included. A reader that finds another number
                                    # in the code puts other registers down, and cannot read the log.
  ends @4 :List(UInt32);            # Of the code of each, in `code`.
  code @5 :Data;
  program @6 :UInt32;               # Number of the program in its process, from 0; exec begins the next one.
}

# What a thread has executed in one turn: records, made small. 0.2 to 0.6 bytes an instruction.
struct AccessLog {
  process @0 :UInt32;
  thread @1 :UInt32;
  counts @2 :Bool;                  # It costs; otherwise the models only see it.
  fs @3 :UInt64;                    # Bases of the thread's segments at the beginning.
  gs @4 :UInt64;
  heads @5 :Column;                 # One value for each record, at most 65536.
  words @6 :Column;                 # At most 65536.
  program @7 :UInt32;
  series @8 :UInt32;                # Logs of one thread that follow from each other; numbers from 1 in the recording.
}
# heads: 0 a whole record of the run that is expected, 1 one of the other that is, 2 the thread goes on elsewhere without a branch:
# at the address that is the next one of words; 3 a record of a run that was executed in part: the next of words are its number and
# up to which byte; 4 + n a whole record of run n. Expected is behind each run what came behind it last in the same series, and the
# other is what came behind it before that and was not the same: a head that is not 0 moves what it names to the front.
# words: of each record all but the first, less what is expected there, zigzag. Expected is what the same word of the last record of
# the same run and series was, and a step. The step is the last difference between two records that occurred twice in a row; 0
# at first.

# Something between the logs of a process.
struct AccessMark {
  process @0 :UInt32;
  kind @1 :UInt16;                  # 0 what was simulated since the last mark of this kind, or of kind 1, belongs to `part`;
                                    # 1 it counts for nothing; 2 `child` begins as a copy of this process and its models;
                                    # 3 what comes behind is lost; 4 nothing comes behind.
  part @2 :UInt32;
  child @3 :UInt32;
  from @4 :List(UInt64);            # With kind 0, where the code of all runs lies: from this address up to the next one's,
  module @5 :List(UInt32);          # in this module, as in frames (0: none),
  bias @6 :List(UInt64);            # at its own address plus this.
  program @7 :UInt32;
}

# What a process executes comes in parts, which end where the program asks for it (CALLGRIND_DUMP_STATS and its relatives).
# Numbers of parts rise in a process, from 0, with gaps; the last one ends with the process, and nothing says so.
struct PartEnd {
  process @0 :UInt32;
  part @1 :UInt32;
  zeroed @2 :Bool;                  # Nothing of it counts (CALLGRIND_ZERO_STATS), nor do executions and contexts that
                                    # were written before.
  time @3 :UInt64;
  name @4 :Data;                    # As the program gave it; may be empty.
}

# Appends places of code: the n-th is entries ends[n-1]..ends[n], innermost inlined function first, the last one the
# real function; id firstId + n. An entry is encoded as in symbols. 4 bytes a place and 20 an entry. A function that has no
# symbol, but an entry in .eh_frame, is called by its first address less the module's bias, without a rawName:
# "0x0000000000001136"; a stub of the linkage table by what it calls: "puts@plt".
struct Places {
  firstId @0 :UInt32;
  ends @1 :List(UInt32);
  function @2 :List(UInt32);
  rawName @3 :List(UInt32);
  file @4 :List(UInt32);
  line @5 :List(UInt32);
  column @6 :List(UInt32);
}

# What the executed code of a module (as in frames) is called: each row holds for the code from its rva up to the next
# row's rva. Rows of a module rise over all its messages, at most 65536 in one. 1.2 to 1.5 bytes.
struct CodeLines {
  module @0 :UInt32;
  count @1 :UInt32;                 # Rows.
  columns @2 :List(Column);         # A column that is not marked * may be absent: its values are 0.
}
# Columns:
#   1 rva *
#   2 place      id in places; 0: nothing is known, or no code was executed from there on

# Counters of the engine or the recorder; a later message of the same process replaces values by name.
struct Counters {
  process @0 :UInt32;               # 0: the recorder.
  names @1 :List(Text);
  values @2 :List(UInt64);
}

# Something the user should read.
struct Remark {
  severity @0 :UInt16;              # 0 note, 1 warning, 2 error.
  code @1 :UInt32;                  # Names the kind of remark; 0 when it has none. 1: a line that the program printed
                                    # by a client request (VALGRIND_PRINTF).
  process @2 :UInt32;               # 0: the recording as a whole.
  time @3 :UInt64;
  text @4 :Text;
}

# A child that runs natively.
struct NotFollowed {
  process @0 :UInt32;               # The parent.
  time @1 :UInt64;
  pid @2 :UInt32;
  reason @3 :Text;
}

struct Trailer {
  time @0 :UInt64;                  # End of the recording.
  how @1 :UInt16;                   # endState of the root process.
  value @2 :UInt32;
  complete @3 :Bool;                # Everything that happened is in the trace.
  messages @4 :UInt64;              # Messages before this one.
  events @5 :UInt64;                # Rows in all chunks.
  lost @6 :List(Lost);
}

struct Lost {
  process @0 :UInt32;               # 0: not known.
  events @1 :UInt64;                # 0: not known how many.
  reason @2 :Text;
}
