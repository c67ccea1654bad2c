// build: c++ -g -O0 -std=c++17
// Lost owners of standard containers: what they own is indirect; kept ones are reachable.
#include "../guest.h"
#include <list>
#include <memory>
#include <string>
#include <vector>

static std::vector<std::string> *kept;

static void __attribute__((noinline)) fill() {
    auto *volatile vector = new std::vector<std::string>; //~ definite 24+284 1
    vector->reserve(2); //~ indirect 64 1
    vector->emplace_back(99, 'a'); //~ indirect 100 1
    vector->emplace_back(119, 'b'); //~ indirect 120 1
    vector = nullptr;
    kept = new std::vector<std::string>; //~ reachable 24 1
    kept->emplace_back("short"); //~ reachable 32 1
    auto owner = std::make_unique<long>(7); //~ definite 8 1
    owner.release();
    auto *volatile list = new std::list<int>; //~ definite 24+72 1
    for (int i = 0; i < 3; i++) list->push_back(i); //~ indirect 72 3
    list = nullptr;
}

int main() {
    fill();
    scrub();
    return SUCCESS();
}
