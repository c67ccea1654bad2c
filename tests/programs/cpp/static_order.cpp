// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// Static objects are destroyed in the order opposite to their construction: one uses another that is gone by then.
#include "../guest.h"

struct log {
    volatile int *lines;
    log() : lines(new int[4]()) {}
    ~log() {
        delete[] lines;
        done = 1;
    }
    static volatile int done;
};
volatile int log::done;
static log *instance;

struct user {
    ~user() {
        log::done = log::done + 1;
        instance->lines[1] = 3; //~ InvalidWrite 4
    }
};

static log &the_log() {
    static log one;
    return one;
}
static user late;

int main() {
    instance = &the_log();
    instance->lines[0] = 1;
    CHECK(log::done == 0);
    return SUCCESS();
}
