// build: c++ -g -O0 -w
// build O2: c++ -g -O2 -w
// build clang: clang++ -g -O1 -w -fsized-deallocation
// new with free, new[] with delete, new with delete[], malloc with delete, strdup with delete[].
#include "../guest.h"

static void *volatile keep;
template <typename T> static T *__attribute__((noinline)) kept(T *block) {
    keep = block;
    return static_cast<T *>(keep);
}

int main() {
    int *one = kept(new int(3));
    free(one); //~ MismatchedFree 0
    int *many = kept(new int[10]);
    delete many; //~ MismatchedFree 0 //~ MismatchedAllocateDeallocateSize 0
    int *single = kept(new int(4));
    delete[] single; //~ MismatchedFree 0
    int *block = kept(static_cast<int *>(malloc(sizeof(int))));
    delete block; //~ MismatchedFree 0
    char *text = kept(strdup("text"));
    delete[] text; //~ MismatchedFree 0
    int *again = kept(new int[4]);
    again = kept(static_cast<int *>(realloc(again, 100))); //~ MismatchedFree 0
    free(again);
    delete kept(new long);
    delete[] kept(new long[3]);
    return SUCCESS();
}
