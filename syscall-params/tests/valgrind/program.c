// Makes the system calls of a list under Valgrind. Each group of cases has a process of its own, in which every
// complaint is new.
//
// The list (its file is the only argument) has one word and numbers in hexadecimal on each line:
//   case ID NUMBER ARGUMENT*6 UNDEFINED*6   begins a case; the masks say which bits of a register are undefined
//   bytes ADDRESS HEXADECIMAL               puts bytes into the arena, which is zero and defined otherwise
//   undefined ADDRESS SIZE, closed ADDRESS SIZE   makes bytes undefined, or not addressable
//   go                                      makes the call
//   end                                     ends a group
// A filter answers exactly this call with EPERM: nothing is done to the machine, but Valgrind has checked it. What
// Valgrind does itself (mmap, execve of a path that does not exist) happens in the process that ends after it.

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <valgrind/memcheck.h>

#define ARENA ((void *)0x30000000)
#define ARENA_SIZE 0x40000

static long call(long number, const volatile uint64_t *arguments)
{
    register uint64_t r10 __asm__("r10") = arguments[3];
    register uint64_t r8 __asm__("r8") = arguments[4];
    register uint64_t r9 __asm__("r9") = arguments[5];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

// Lets every call pass but the one with this number and these arguments.
static void forbid(long number, const uint64_t *arguments)
{
    enum { LENGTH = 2 + 24 + 2 };
    struct sock_filter filter[LENGTH];
    int used = 0;
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, LENGTH - 3);
    for (int half = 0; half < 12; half++) {
        uint32_t value = arguments[half / 2] >> (half % 2 * 32);
        size_t offset = offsetof(struct seccomp_data, args) + half * 4;
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
        filter[used] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, LENGTH - 2 - used);
        used++;
    }
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1);
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = LENGTH, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0L, 0L, 0L) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0L, 0L) != 0)
        _exit(3);
}

static char *text;

// The next line of the list; NULL at its end.
static char *line(void)
{
    if (*text == 0)
        return NULL;
    char *start = text;
    text += strcspn(text, "\n");
    if (*text != 0)
        *text++ = 0;
    return start;
}

// Reads all of the list, so that no process moves another one's place in the file.
static int load(const char *path)
{
    FILE *list = fopen(path, "r");
    if (list == NULL || fseek(list, 0, SEEK_END) != 0)
        return 0;
    long size = ftell(list);
    text = size < 0 ? NULL : malloc(size + 1);
    rewind(list);
    if (text == NULL || fread(text, 1, size, list) != (size_t)size)
        return 0;
    text[size] = 0;
    fclose(list);
    return 1;
}

static void reset(void)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(ARENA, ARENA_SIZE);
    memset(ARENA, 0, ARENA_SIZE);
}

// The cases up to the line `end`.
static void group(void)
{
    static uint64_t arguments[6], masks[6];
    unsigned long id = 0, number = 0, address, size;
    for (char *next = line(); next != NULL && strcmp(next, "end") != 0; next = line()) {
        int at = 0;
        if (sscanf(next, "case %lx %lx%n", &id, &number, &at) == 2) {
            next += at;
            for (int index = 0; index < 6; index++)
                arguments[index] = strtoul(next, &next, 16);
            for (int index = 0; index < 6; index++)
                masks[index] = strtoul(next, &next, 16);
        } else if (sscanf(next, "bytes %lx %n", &address, &at) == 1) {
            for (char *digits = next + at; digits[0] != 0 && digits[1] != 0; digits += 2) {
                char byte[3] = {digits[0], digits[1], 0};
                *(char *)address++ = (char)strtoul(byte, NULL, 16);
            }
        } else if (sscanf(next, "undefined %lx %lx", &address, &size) == 2) {
            (void)VALGRIND_MAKE_MEM_UNDEFINED(address, size);
        } else if (sscanf(next, "closed %lx %lx", &address, &size) == 2) {
            (void)VALGRIND_MAKE_MEM_NOACCESS(address, size);
        } else if (strcmp(next, "go") == 0) {
            alarm(5);
            forbid((long)number, arguments);
            VALGRIND_PRINTF("CASE %lu\n", id);
            (void)VALGRIND_SET_VBITS(arguments, masks, sizeof arguments);
            call((long)number, arguments);
            (void)VALGRIND_MAKE_MEM_DEFINED(arguments, sizeof arguments);
            reset();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2 || !load(argv[1]))
        return 2;
    if (mmap(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != ARENA)
        return 2;
    while (*text != 0) {
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0) {
            group();
            _exit(0);
        }
        while (waitpid(child, NULL, 0) != child) {
        }
        for (char *next = line(); next != NULL && strcmp(next, "end") != 0;)
            next = line();
    }
    VALGRIND_PRINTF("END\n");
    return 0;
}
