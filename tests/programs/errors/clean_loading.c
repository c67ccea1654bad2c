// build: cc -g -O1 -pthread
// also: cc -g -shared -fPIC -DLIBRARY {src} -o {out}.so
// Nothing to report: libraries that come and go, with thread-local storage that makes the dynamic linker replace what it
// allocated before libc was there; what libc loads and allocates for itself.
#include "../guest.h"

#ifdef LIBRARY
static __thread char *text;
static __thread char room[3000];
static char *kept;

__attribute__((constructor)) static void load(void) { kept = strdup("of the library"); }
__attribute__((destructor)) static void unload(void) { free(kept); }

int use(int number) {
    if (text == NULL) {
        text = malloc(40);
    }
    snprintf(text, 40, "%d", number);
    room[number % 3000]++;
    int length = (int)strlen(text);
    free(text);
    text = NULL;
    return length;
}
#else
#include <dlfcn.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <time.h>

static char path[4096];

static void *work(void *unused) {
    for (int i = 0; i < 20; i++) {
        void *library = dlopen(path, RTLD_NOW);
        if (library == NULL) {
            return (void *)1;
        }
        int (*use)(int) = (int (*)(int))dlsym(library, "use");
        if (use(i) != (i < 10 ? 1 : 2) || dlsym(library, "nothing") != NULL || dlerror() == NULL) {
            return (void *)2;
        }
        dlclose(library);
    }
    return dlopen("/nowhere/at/all.so", RTLD_NOW);
}

int main(void) {
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 4);
    CHECK(length > 0);
    strcpy(path + length, ".so");
    CHECK(work(NULL) == NULL);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    }
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        CHECK(result == NULL);
    }
    setlocale(LC_ALL, "C.UTF-8");
    setlocale(LC_ALL, "C");
    iconv_t convert = iconv_open("UTF-16", "LATIN1");
    if (convert != (iconv_t)-1) {
        iconv_close(convert);
    }
    getpwuid(0);
    struct addrinfo *list = NULL;
    if (getaddrinfo("127.0.0.1", "80", NULL, &list) == 0) {
        freeaddrinfo(list);
    }
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    FILE *stream = tmpfile();
    if (stream != NULL) {
        fputs("text", stream);
        fclose(stream);
    }
    puts("EXIT-SUCCESS");
    return 0;
}
#endif
