// build: g++ -g -O1 -fno-plt
// C++: virtual calls, exceptions through several frames with destructors on their way, and templates.
#include "../guest.h"
#include <stdexcept>

#define SEPARATE __attribute__((noinline, noclone))

struct Shape {
    virtual ~Shape() = default;
    virtual int area(int size) const = 0;
};

struct Square : Shape {
    int area(int size) const override;
};

struct Circle : Shape {
    int area(int size) const override;
};

SEPARATE int Square::area(int size) const {
    return size * size;
}

SEPARATE int Circle::area(int size) const {
    int sum = 0;
    for (int i = 0; i < size; i++) sum += 3;
    return sum;
}

static int cleaned;

struct Guard {
    SEPARATE ~Guard() { cleaned++; }
};

SEPARATE static int throws(int depth) {
    Guard guard;
    if (depth == 0) throw std::runtime_error("thrown");
    return throws(depth - 1) + 1;
}

SEPARATE static int catches(int depth) {
    try {
        return throws(depth);
    } catch (const std::exception &error) {
        return error.what()[0];
    }
}

template <typename Number> SEPARATE Number sum_to(Number last) {
    Number sum = 0;
    for (Number i = 0; i < last; i += 1) sum += i;
    return sum;
}

int main() {
    Square square;
    Circle circle;
    const Shape *shapes[] = {&square, &circle};
    int sum = 0;
    for (int i = 0; i < 1000; i++) sum += shapes[i % 3 == 0]->area(i % 10);
    for (int i = 0; i < 50; i++) CHECK(catches(i % 5) == 't');
    CHECK(cleaned == 150);
    CHECK(sum_to<int>(1000) == 499500);
    CHECK(sum_to<double>(1000) == 499500.0);
    CHECK(sum != 0);
    return SUCCESS();
}
