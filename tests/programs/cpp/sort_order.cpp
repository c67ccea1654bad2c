// build: c++ -g -O0
// build O2: c++ -g -O2
// std::sort of records of which one was given no key: the comparison decides by what was there.
#include "../guest.h"
#include <algorithm>
#include <vector>

struct record {
    int key, value;
};
static volatile int compared;

struct order {
    bool __attribute__((noinline)) operator()(const record *a, const record *b) const {
        compared = compared + 1;
        if (a->key < b->key) return compared != 0; //~ UninitCondition 0
        return compared == 0;
    }
};

int main() {
    std::vector<record *> list;
    for (int i = 0; i < 10; i++) list.push_back(new record{i * 7 % 10, i});
    std::sort(list.begin(), list.end(), order());
    for (int i = 0; i < 10; i++) CHECK(list[static_cast<size_t>(i)]->key == i);
    record *unset = static_cast<record *>(::operator new(sizeof(record)));
    unset->value = 3;
    list.push_back(unset);
    std::vector<record *> two{list[0], unset};
    std::stable_sort(two.begin(), two.end(), order());
    for (record *each : list) ::operator delete(each);
    return SUCCESS();
}
