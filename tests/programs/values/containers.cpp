// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O2
// Containers copy padding and what they have not filled, and mean no harm.
#include "../guest.h"
#include <map>
#include <string>
#include <vector>

struct item {
    char kind;
    double weight;
    std::string name;
};
static volatile int sink;
static void __attribute__((noinline)) look(const int *p) {
    if (*p > 3) sink = sink + 1; //~ UninitCondition 0
}

int main() {
    std::vector<item> items;
    std::map<std::string, int> index;
    for (int i = 0; i < 200; i++) {
        items.push_back(item{static_cast<char>(i), i * 0.5, "name " + std::to_string(i)});
        index[items.back().name] = i;
    }
    std::vector<item> copy = items;
    for (auto &each : copy) CHECK(items[static_cast<size_t>(index[each.name])].weight == each.weight);
    int *raw = new int[4];
    raw[0] = 1;
    look(raw);
    look(raw + 1);
    delete[] raw;
    return SUCCESS();
}
