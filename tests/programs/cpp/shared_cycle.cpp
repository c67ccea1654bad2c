// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O2
// A child keeps a raw pointer to its shared parent; breaking the cycle of owners ends the parent first.
#include "../guest.h"
#include <memory>
#include <vector>

struct node {
    volatile int value = 7;
    std::vector<std::shared_ptr<node>> children;
    std::weak_ptr<node> safe;
    node *parent = nullptr;
};
static volatile int sink;

int main() {
    auto parent = std::make_shared<node>();
    auto child = std::make_shared<node>();
    parent->children.push_back(child);
    child->parent = parent.get();
    child->safe = parent;
    sink = child->parent->value;
    CHECK(child->safe.lock() == parent && child.use_count() == 2);
    parent.reset();
    CHECK(child.use_count() == 1);
    CHECK(!child->safe.lock());
    // The weak pointer keeps the memory of what make_shared has made; the vector's is gone.
    sink = child->parent->value;
    child->safe.reset();
    sink = child->parent->value; //~ InvalidRead 4
    return SUCCESS();
}
