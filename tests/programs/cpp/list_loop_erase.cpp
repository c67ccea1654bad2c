// build: c++ -g -O0
// build clang: clang++ -g -O0
// A loop over a list erases the element that its iterator stands at, and goes on from there.
#include "../guest.h"
#include <list>

static void __attribute__((noinline)) erase(std::list<int> &list, std::list<int>::iterator at) { list.erase(at); }

int main() {
    std::list<int> list{1, 2, 3, 4};
    for (auto at = list.begin(); at != list.end();) {
        auto current = at++;
        if (*current == 2) erase(list, current);
    }
    CHECK(list.size() == 3);
    for (auto at = list.begin(); at != list.end(); ++at) { //~ InvalidRead 8
        if (*at == 3) erase(list, at);
    }
    CHECK(list.size() == 2);
    return SUCCESS();
}
