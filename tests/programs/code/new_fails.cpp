// build: c++ -g -O0 -std=c++17 -pthread
// build optimised: c++ -O2 -std=c++17 -pthread
// build static: c++ -O2 -std=c++17 -pthread -static
// build jemalloc: c++ -O2 -std=c++17 -pthread -DNO_THROW_THROUGH {src} -o {out} -ljemalloc
// build jemalloc-static: c++ -O2 -std=c++17 -pthread -static -DNO_THROW_THROUGH {src} -o {out} -l:libjemalloc.a
// build tcmalloc: c++ -O2 -std=c++17 -pthread -DNO_THROW_THROUGH {src} -o {out} -ltcmalloc_minimal
// build clang: clang++ -O2 -std=c++17 -pthread
// NO_THROW_THROUGH: the allocator's nothrow forms end the program when the new_handler throws.
// Every form of operator new without memory: the new_handler is called, std::bad_alloc is thrown and caught, nothrow
// forms return null.
#include "../guest.h"
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static volatile std::size_t huge = PTRDIFF_MAX / 2;
static const std::align_val_t wide{256};
static int handler_calls;
static int unwound;

struct Unwinds {
    ~Unwinds() { unwound++; }
};

template <class F> static void __attribute__((noinline)) throws(const char *name, F f) {
    Unwinds outer;
    try {
        Unwinds inner;
        std::string text(100, 'x');
        f();
        std::printf("%s returned\n", name);
    } catch (const std::bad_alloc &error) {
        std::printf("%s threw %s\n", name, error.what());
    } catch (const std::runtime_error &error) {
        std::printf("%s threw what the handler throws: %s\n", name, error.what());
    }
}

static void all_forms() {
    throws("new", [] { ::operator delete(::operator new(huge)); });
    throws("new[]", [] { ::operator delete[](::operator new[](huge)); });
    throws("aligned new", [] { ::operator delete(::operator new(huge, wide), wide); });
    throws("aligned new[]", [] { ::operator delete[](::operator new[](huge, wide), wide); });
    throws("new expression", [] { delete[] new char[huge]; });
    throws("vector", [] { std::vector<char> v(huge); });
    throws("unique_ptr", [] { std::make_unique<char[]>(huge); });
#ifdef NO_THROW_THROUGH
    if (std::get_new_handler()) return;
#endif
    throws("nothrow", [] { CHECK(!::operator new(huge, std::nothrow)); });
    throws("nothrow[]", [] { CHECK(!::operator new[](huge, std::nothrow)); });
    throws("aligned nothrow", [] { CHECK(!::operator new(huge, wide, std::nothrow)); });
    throws("aligned nothrow[]", [] { CHECK(!::operator new[](huge, wide, std::nothrow)); });
}

static void gives_up() {
    if (++handler_calls % 3 == 0) std::set_new_handler(nullptr);
}

static void throws_itself() {
    handler_calls++;
    throw std::runtime_error("no memory");
}

static void shrinks() {
    handler_calls++;
    throw std::bad_alloc();
}

static void many(std::size_t size) {
    int caught = 0;
    for (int i = 0; i < 3000; i++) {
        try {
            int *p = new int(i);
            delete p;
            delete[] static_cast<char *>(::operator new(size));
        } catch (const std::bad_alloc &) {
            caught++;
        }
    }
    CHECK(caught == 3000);
}

int main() {
    all_forms();
    std::printf("unwound %d\n", unwound);

    std::set_new_handler(gives_up);
    throws("new", [] { ::operator delete(::operator new(huge)); });
    std::printf("handler called %d times\n", handler_calls);
    std::set_new_handler(gives_up);
    throws("nothrow", [] { CHECK(!::operator new[](huge, std::nothrow)); });
    std::printf("handler called %d times\n", handler_calls);

    std::set_new_handler(throws_itself);
    all_forms();
    std::printf("handler called %d times\n", handler_calls);
    std::set_new_handler(shrinks);
    all_forms();
    std::printf("handler called %d times\n", handler_calls);
    std::set_new_handler(nullptr);

    // More than the machine has, and sizes that are no size.
    throws("2 TiB", [] { ::operator delete(::operator new(std::size_t(2) << 40)); });
    throws("negative", [] { delete[] new char[huge * 2 + 1]; });
    throws("largest", [] { ::operator delete(::operator new(SIZE_MAX)); });
    std::thread threads[4];
    for (auto &thread : threads) thread = std::thread(many, std::size_t(huge));
    for (auto &thread : threads) thread.join();
    std::printf("unwound %d\n", unwound);
    return SUCCESS();
}
