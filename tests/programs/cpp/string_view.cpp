// build: c++ -g -O0 -std=c++17
// build O2: c++ -g -O2 -std=c++17
// build clang: clang++ -g -O2 -std=c++17 -w
// A string_view outlives the temporary string that it looks into.
#include "../guest.h"
#include <string>
#include <string_view>

static volatile int sink;

static std::string __attribute__((noinline)) name(int number) {
    return "a name that is too long for the string itself, number " + std::to_string(number);
}
static std::string_view __attribute__((noinline)) first_word(std::string_view text) {
    return text.substr(0, text.find(' '));
}

int main() {
    std::string kept = name(1);
    CHECK(first_word(kept) == "a");
    std::string_view view = name(2);
    const volatile char *letters = view.data();
    sink = letters[3]; //~ InvalidRead 1
    std::string_view word = first_word(kept);
    kept += " and much more text, so that it has to move to another place, which it does here for sure";
    sink = *static_cast<const volatile char *>(word.data()); //~ InvalidRead 1
    return SUCCESS();
}
