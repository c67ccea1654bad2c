// Shared by the guest programs: self-checks with a line number, and the last line of a program that passed.
#ifndef GUEST_H
#define GUEST_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Ends the program with a message on stdout when `condition` does not hold.
#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            printf("CHECK failed at line %d: %s\n", __LINE__, #condition);                   \
            fflush(stdout);                                                                  \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

// The last line of a program whose checks held; written without a buffer, which would be memory in use at exit.
#define SUCCESS() (fflush(stdout), write(1, "EXIT-SUCCESS\n", 13) == 13 ? 0 : 1)

// Overwrites the stack below the caller, so that no stale pointer of an earlier call is left there.
static void __attribute__((noinline, unused)) scrub(void) {
    volatile char dead[8192];
    for (unsigned i = 0; i < sizeof dead; i++) dead[i] = 0;
}
#endif
