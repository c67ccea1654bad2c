// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// An undefined member goes through structure copies, a queue and memmove before anybody looks at it.
#include "../guest.h"

struct job {
    int id, priority;
    char name[24];
};
static volatile int sink;
static struct job queue[8];
static int used;

static void __attribute__((noinline)) push(const struct job *job) { queue[used++] = *job; }
static struct job __attribute__((noinline)) pop(void) {
    struct job first = queue[0];
    memmove(queue, queue + 1, (size_t)--used * sizeof *queue);
    return first;
}
static void __attribute__((noinline)) run(const struct job *job) {
    if (job->id == 1) sink++;
    if (job->priority > 5) sink += 2; //~ UninitCondition 0
}

int main(void) {
    struct job *job = malloc(sizeof *job);
    job->id = 1, job->priority = 9;
    strcpy(job->name, "first");
    push(job);
    struct job *other = malloc(sizeof *other);
    other->id = 2;
    strcpy(other->name, "second");
    push(other);
    struct job one = pop(), two = pop();
    run(&one);
    CHECK(sink == 3 && strcmp(two.name, "second") == 0);
    run(&two);
    free(job), free(other);
    return SUCCESS();
}
