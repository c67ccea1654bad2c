// build: c++ -g -O0 -std=c++17
// build O2: c++ -g -O2 -std=c++17 -fno-inline
// Two shared_ptr that keep each other alive; the same shape with weak_ptr is freed.
#include "../guest.h"
#include <memory>

struct Node {
    std::shared_ptr<Node> other;
    std::weak_ptr<Node> weak;
};

static void __attribute__((noinline)) cycle() {
    std::shared_ptr<Node> nodes[2];
    for (auto &node : nodes) node = std::make_shared<Node>(); //~ definite 48+48 1 //~ indirect 48 1
    nodes[0]->other = nodes[1];
    nodes[1]->other = nodes[0];
}

static void __attribute__((noinline)) no_cycle() {
    auto a = std::make_shared<Node>(), b = std::make_shared<Node>();
    a->other = b;
    b->weak = a;
}

int main() {
    cycle();
    no_cycle();
    scrub();
    return SUCCESS();
}
