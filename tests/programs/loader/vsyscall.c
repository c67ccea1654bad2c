// build: cc -O2
// The fixed address of the old time system call, where the kernel still offers it.
#include "../guest.h"
#include <time.h>

int main(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int offered = 0;
    while (maps && fgets(line, sizeof line, maps)) offered |= strstr(line, "[vsyscall]") != NULL;
    if (!offered) {
        puts("SKIP no vsyscall page");
        return 0;
    }
    time_t (*old_time)(time_t *) = (time_t (*)(time_t *))0xffffffffff600400;
    time_t a = time(NULL), b = old_time(NULL), c = time(NULL);
    CHECK(a <= b && b <= c);
    return SUCCESS();
}
