// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// An observer removes itself while it is being notified; the loop over the observers goes on with its block.
#include "../guest.h"

struct observer {
    void (*notify)(struct observer *);
    struct observer *volatile next;
    volatile int count;
};
static struct observer *observers;

static void counts(struct observer *self) { self->count++; }
static void leaves(struct observer *self) {
    struct observer **place = &observers;
    while (*place != self) place = (struct observer **)&(*place)->next;
    *place = self->next;
    free(self);
}

static void __attribute__((noinline)) add(void (*notify)(struct observer *)) {
    struct observer *one = calloc(1, sizeof *one);
    one->notify = notify;
    one->next = observers;
    observers = one;
}

int main(void) {
    add(counts);
    add(leaves);
    add(counts);
    for (struct observer *one = observers; one;) {
        one->notify(one);
        one = one->next; //~ InvalidRead 8
    }
    CHECK(observers->next->next == NULL);
    return SUCCESS();
}
