// C++: operator new and its relatives, containers, inlined functions, and blocks that are never freed.
// build: c++ -g -O1
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

struct Node {
    long data[21];
    Node *next;
};

__attribute__((noinline)) static Node *list(int length) {
    Node *head = nullptr;
    for (int i = 0; i < length; i++)
        head = new Node{{i}, head};
    return head;
}

static inline __attribute__((always_inline)) char *buffer(int n) { return new char[n * 100]; }

static void *kept[64];

int main() {
    for (int i = 0; i < 20; i++)
        kept[i] = buffer(i + 1);
    kept[20] = list(30);
    std::vector<int> numbers;
    for (int i = 0; i < 40000; i++)
        numbers.push_back(i);
    auto table = std::make_unique<double[]>(3000);
    table.reset();
    for (int i = 0; i < 20; i++)
        delete[] static_cast<char *>(kept[i]);
    std::puts("EXIT-SUCCESS");
}
