// build: c++ -g -O0 -std=c++17 -pthread
// env: LD_PRELOAD=libjemalloc.so.2
// An allocator that is preloaded takes the place of libc's and of C++'s.
#include "../guest.h"
#include <malloc.h>
#include <string>
#include <thread>

static char *kept;

static void __attribute__((noinline)) fill() {
    void *volatile p = std::malloc(10); //~ definite 10 1
    p = new int[7]; //~ definite 28 1
    p = std::calloc(2, 11); //~ definite 22 1
    p = ::operator new(64, std::align_val_t(64)); //~ definite 64 1
    kept = strdup("kept"); //~ reachable 5 1
    std::string *text = new std::string(100, 'x'); //~ definite 32+101 1 //~ indirect 101 1
    CHECK((*text)[99] == 'x');
    delete new std::string(200, 'y');
    text = nullptr;
    p = nullptr;
}

int main() {
    fill();
    std::thread([] {
        for (int i = 0; i < 1000; i++) delete[] new char[i];
    }).join();
    scrub();
    return SUCCESS();
}
