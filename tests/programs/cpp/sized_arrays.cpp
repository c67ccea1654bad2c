// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O2
// A class that owns an array copies its pointer: the compiler's own copy constructor shares the array.
#include "../guest.h"

class numbers {
  public:
    explicit numbers(size_t n) : size(n), list(new int[n]()) {}
    ~numbers() {
        volatile int *mine = list;
        delete[] mine; //~ InvalidFree 0
        size = 0;
    }
    volatile size_t size;
    int *list;
};

static int __attribute__((noinline)) sum(numbers copy) {
    int sum = 0;
    for (size_t i = 0; i < copy.size; i++) sum += copy.list[i];
    return sum;
}

int main() {
    {
        numbers one(10);
        one.list[3] = 4;
        CHECK(sum(one) == 4);
    }
    return SUCCESS();
}
