// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// A reference to an element of a map is used after the element was erased.
#include "../guest.h"
#include <map>
#include <string>
#include <unordered_map>

static volatile int sink;

int main() {
    std::map<int, int> numbers;
    for (int i = 0; i < 40; i++) numbers[i] = i * i;
    volatile int &nine = numbers[9], &ten = numbers[10];
    CHECK(nine == 81);
    numbers.erase(9);
    sink = ten;
    sink = nine; //~ InvalidRead 4
    std::unordered_map<std::string, long> words;
    words["a word that is long enough for the heap"] = 1;
    volatile long &count = words.begin()->second;
    for (int i = 0; i < 100; i++) words[std::to_string(i)] = i;
    // Elements stay where they are while the table grows.
    CHECK(count == 1);
    words.clear();
    count = 2; //~ InvalidWrite 8
    return SUCCESS();
}
