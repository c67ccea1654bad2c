// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: a parser by recursive descent that builds a tree of which each node has only the members of its kind set.
#include "../guest.h"
#include <ctype.h>

struct node {
    char kind;
    struct node *left, *right;
    double number;
};

static const char *at;
static struct node *sum(void);

static struct node *make(char kind, struct node *left, struct node *right) {
    struct node *node = malloc(sizeof *node);
    node->kind = kind, node->left = left, node->right = right;
    return node;
}
static struct node *atom(void) {
    while (*at == ' ') at++;
    if (*at == '(') {
        at++;
        struct node *inner = sum();
        CHECK(*at++ == ')');
        return inner;
    }
    CHECK(isdigit((unsigned char)*at));
    struct node *node = malloc(sizeof *node);
    node->kind = 'n';
    node->number = strtod(at, (char **)&at);
    return node;
}
static struct node *product(void) {
    struct node *node = atom();
    for (; *at == '*' || *at == '/'; ) { char kind = *at++; node = make(kind, node, atom()); }
    return node;
}
static struct node *sum(void) {
    struct node *node = product();
    for (; *at == '+' || *at == '-'; ) { char kind = *at++; node = make(kind, node, product()); }
    return node;
}
static double evaluate(struct node *node) {
    double result = node->kind == 'n' ? node->number : 0;
    if (node->kind != 'n') {
        double a = evaluate(node->left), b = evaluate(node->right);
        result = node->kind == '+' ? a + b : node->kind == '-' ? a - b : node->kind == '*' ? a * b : a / b;
    }
    free(node);
    return result;
}

int main(void) {
    at = "(1+2)*3-4/(5-3)+0.5*2";
    CHECK(evaluate(sum()) == 8);
    at = "1+2*3*(4-2)/6";
    CHECK(evaluate(sum()) == 3);
    return SUCCESS();
}
