// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread
// build clang: clang -g -O1 -pthread
// A queue with a condition variable: the producer leaves a field of some items unset, the consumer decides by it.
#include "../guest.h"
#include <pthread.h>

struct item {
    int value;
    int urgent;
    struct item *next;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static struct item *queue;
static volatile int urgent;

static void *produce(void *unused) {
    (void)unused;
    for (int i = 0; i < 50; i++) {
        struct item *item = malloc(sizeof *item);
        item->value = i;
        if (i != 30) item->urgent = i % 2;
        pthread_mutex_lock(&mutex);
        item->next = queue;
        queue = item;
        pthread_cond_signal(&filled);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, produce, NULL) == 0);
    int sum = 0;
    for (int taken = 0; taken < 50; taken++) {
        pthread_mutex_lock(&mutex);
        while (!queue) pthread_cond_wait(&filled, &mutex);
        struct item *item = queue;
        queue = item->next;
        pthread_mutex_unlock(&mutex);
        sum += item->value;
        if (item->urgent) urgent++; //~ UninitCondition 0
        free(item);
    }
    CHECK(pthread_join(thread, NULL) == 0 && sum == 1225);
    return SUCCESS();
}
