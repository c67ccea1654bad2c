// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// The result of c_str is handed to C code that keeps it longer than the string lives.
#include "../guest.h"
#include <string>

static const char *title;
static volatile size_t sink;

static void __attribute__((noinline)) set_title(const char *text) { title = text; }

int main() {
    {
        std::string text(60, 'x');
        text += " title";
        set_title(text.c_str());
        CHECK(strlen(title) == 66);
    }
    const char *volatile gone = title;
    sink = strlen(gone); //~ InvalidRead 1
    return SUCCESS();
}
