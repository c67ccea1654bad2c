// Two threads that fill, sort and count halves of one array; the main thread merges them.
//
// usage: sort ROUNDS
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 1 << 18, KEYS = 1 << 12 };

struct half {
    uint32_t *numbers, *room;
    size_t count;
    uint32_t seed;
    uint32_t often[KEYS];
};

static void merge(uint32_t *to, const uint32_t *a, size_t m, const uint32_t *b, size_t n) {
    while (m && n) {
        if (*a <= *b)
            *to++ = *a++, m--;
        else
            *to++ = *b++, n--;
    }
    memcpy(to, m ? a : b, (m + n) * sizeof *to);
}

static void sort(uint32_t *numbers, uint32_t *room, size_t count) {
    if (count < 12) {
        for (size_t i = 1; i < count; i++) {
            uint32_t number = numbers[i];
            size_t k = i;
            for (; k && numbers[k - 1] > number; k--)
                numbers[k] = numbers[k - 1];
            numbers[k] = number;
        }
        return;
    }
    size_t middle = count / 2;
    sort(numbers, room, middle);
    sort(numbers + middle, room + middle, count - middle);
    merge(room, numbers, middle, numbers + middle, count - middle);
    memcpy(numbers, room, count * sizeof *numbers);
}

static void *work(void *argument) {
    struct half *half = argument;
    uint32_t x = half->seed;
    memset(half->often, 0, sizeof half->often);
    half->room = malloc(half->count * sizeof *half->room);
    if (!half->room)
        abort();
    for (size_t i = 0; i < half->count; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        half->numbers[i] = x;
        half->often[x * 2654435769u >> 20]++;
    }
    sort(half->numbers, half->room, half->count);
    free(half->room);
    return NULL;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t sum = 0;
    static struct half halves[2];
    for (int round = 0; round < rounds; round++) {
        uint32_t *numbers = malloc(2 * NUMBERS * sizeof *numbers), *merged = malloc(2 * NUMBERS * sizeof *merged);
        pthread_t threads[2];
        if (!numbers || !merged)
            abort();
        for (int i = 0; i < 2; i++) {
            halves[i].numbers = numbers + i * NUMBERS;
            halves[i].count = NUMBERS;
            halves[i].seed = 88675123u + (uint32_t)(2 * round + i);
            if (pthread_create(&threads[i], NULL, work, &halves[i]))
                return 1;
        }
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        merge(merged, numbers, NUMBERS, numbers + NUMBERS, NUMBERS);
        for (int i = 0; i < 2 * NUMBERS; i++)
            sum = sum * 31 + merged[i];
        for (int i = 0; i < KEYS; i++)
            sum += (uint64_t)halves[0].often[i] * halves[1].often[i];
        free(numbers);
        free(merged);
    }
    printf("%llx\n", (unsigned long long)sum);
    return 0;
}
