// A producer that allocates and fills messages, a consumer that reads and frees them, a queue between them.
//
// usage: queue MESSAGES
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 4096, BATCH = 64 };

struct message {
    uint32_t length, sum;
    unsigned char bytes[];
};

static struct message *queue[ROOM];
static size_t first, last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER, room = PTHREAD_COND_INITIALIZER;
static long messages;

static void *produce(void *unused) {
    (void)unused;
    uint32_t x = 2463534242u;
    struct message *batch[BATCH];
    for (long done = 0; done < messages; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            x ^= x << 13, x ^= x >> 17, x ^= x << 5;
            struct message *message = batch[i] = malloc(sizeof *message + (x & 255));
            if (!message)
                abort();
            message->length = x & 255;
            message->sum = 0;
            for (uint32_t k = 0; k < message->length; k++)
                message->sum += message->bytes[k] = (unsigned char)(x >> (k & 15));
        }
        pthread_mutex_lock(&lock);
        while (last - first > ROOM - BATCH)
            pthread_cond_wait(&room, &lock);
        for (int i = 0; i < BATCH; i++)
            queue[last++ % ROOM] = batch[i];
        pthread_cond_signal(&some);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *consume(void *unused) {
    (void)unused;
    uint64_t total = 0, wrong = 0;
    struct message *batch[BATCH];
    for (long done = 0; done < messages; done += BATCH) {
        pthread_mutex_lock(&lock);
        while (last - first < BATCH)
            pthread_cond_wait(&some, &lock);
        for (int i = 0; i < BATCH; i++)
            batch[i] = queue[first++ % ROOM];
        pthread_cond_signal(&room);
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < BATCH; i++) {
            uint32_t sum = 0;
            for (uint32_t k = 0; k < batch[i]->length; k++)
                sum += batch[i]->bytes[k];
            wrong += sum != batch[i]->sum;
            total = total * 31 + sum;
            free(batch[i]);
        }
    }
    printf("%llx, %llu wrong\n", (unsigned long long)total, (unsigned long long)wrong);
    return NULL;
}

int main(int argc, char **argv) {
    messages = argc > 1 ? atol(argv[1]) : BATCH;
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, produce, NULL) || pthread_create(&threads[1], NULL, consume, NULL))
        return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
