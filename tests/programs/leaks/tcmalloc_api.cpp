// build: c++ -g -O0 -std=c++17 {src} -o {out} -ltcmalloc_minimal
// build archive: c++ -g -O0 -std=c++17 {src} -o {out} -l:libtcmalloc_minimal.a -pthread
// build static: c++ -g -O0 -std=c++17 -static {src} -o {out} -l:libtcmalloc_minimal.a -pthread
// peer: replaces malloc, free and operators new and delete only
// tcmalloc's own interface, and the operators new and delete inside it.
#include "../guest.h"
#include <cstdint>
#include <gperftools/malloc_extension.h>
#include <gperftools/nallocx.h>
#include <gperftools/tcmalloc.h>
#include <new>
#include <vector>

static void *kept;

static void __attribute__((noinline)) fill() {
    void *volatile p = tc_malloc(10); //~ definite 10 1
    p = tc_calloc(3, 7); //~ definite 21 1
    p = tc_realloc(std::malloc(4), 50); //~ definite 50 1
    p = tc_memalign(256, 51); //~ definite 51 1
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 256 == 0);
    void *q = nullptr;
    CHECK(tc_posix_memalign(&q, 128, 52) == 0); //~ definite 52 1
    q = nullptr;
    p = tc_new(53); //~ definite 53 1
    p = tc_newarray(54); //~ definite 54 1
    p = tc_new_nothrow(55, std::nothrow); //~ definite 55 1
    p = tc_new_aligned(56, std::align_val_t(512)); //~ definite 56 1
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 512 == 0);
    p = tc_newarray_aligned_nothrow(57, std::align_val_t(64), std::nothrow); //~ definite 57 1
    p = new int; //~ definite 4 1
    p = new int[5]; //~ definite 20 1
    kept = ::operator new(99, std::align_val_t(64)); //~ reachable 99 1
    CHECK(tc_malloc_size(kept) >= 99 && tc_nallocx(99, 0) >= 99 && nallocx(99, 0) >= 99);
    tc_free(tc_malloc(100));
    tc_free_sized(tc_malloc(100), 100);
    std::free(tc_malloc(100));
    tc_cfree(std::malloc(100));
    tc_delete(tc_new(100));
    tc_delete_sized(tc_new(100), 100);
    tc_delete_aligned(tc_new_aligned(100, std::align_val_t(64)), std::align_val_t(64));
    tc_delete_sized_aligned(tc_new_aligned(100, std::align_val_t(64)), 100, std::align_val_t(64));
    tc_delete_nothrow(tc_new_nothrow(100, std::nothrow), std::nothrow);
    tc_deletearray(tc_newarray(100));
    tc_deletearray_sized(tc_newarray(100), 100);
    delete new int;
    delete[] new int[5];
    p = nullptr;
}

int main() {
    fill();
    {
        std::vector<std::vector<int>> rows;
        for (int i = 0; i < 300; i++) rows.emplace_back(i, i);
        CHECK(rows[200][199] == 200);
    }
    MallocExtension::instance()->ReleaseFreeMemory();
    int caught = 0;
    for (int i = 0; i < 5; i++) {
        volatile std::size_t huge = PTRDIFF_MAX / 2;
        try {
            ::operator delete(::operator new(huge));
        } catch (const std::bad_alloc &) {
            caught++;
        }
    }
    CHECK(caught == 5);
    scrub();
    return SUCCESS();
}
