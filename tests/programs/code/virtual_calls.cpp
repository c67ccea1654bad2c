// build: c++ -O2
// build clang: clang++ -O2
// Virtual calls, functions in containers, sorting with templates, streams.
#include "../guest.h"
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    virtual long area() const = 0;
};
template <int N> struct Polygon : Shape {
    long side;
    explicit Polygon(long s) : side(s) {}
    long area() const override { return side * side * N; }
};

int main() {
    std::vector<std::unique_ptr<Shape>> shapes;
    for (long i = 0; i < 1000; i++) {
        switch (i % 4) {
        case 0: shapes.push_back(std::make_unique<Polygon<3>>(i)); break;
        case 1: shapes.push_back(std::make_unique<Polygon<4>>(i)); break;
        case 2: shapes.push_back(std::make_unique<Polygon<5>>(i)); break;
        default: shapes.push_back(std::make_unique<Polygon<6>>(i));
        }
    }
    long total = 0;
    for (int round = 0; round < 20; round++)
        for (const auto &shape : shapes) total += shape->area();
    std::cout << total << '\n';
    std::map<std::string, std::function<long(long)>> functions{
        {"double", [](long x) { return 2 * x; }}, {"square", [](long x) { return x * x; }}, {"add", [total](long x) { return x + total; }}};
    for (const auto &[name, function] : functions) std::cout << name << ' ' << function(12) << '\n';
    std::vector<std::string> words;
    for (int i = 0; i < 2000; i++) words.push_back(std::to_string((i * 7919) % 2003));
    std::sort(words.begin(), words.end());
    std::ostringstream stream;
    for (size_t i = 0; i < words.size(); i += 400) stream << words[i] << ',';
    std::cout << stream.str() << std::accumulate(words.begin(), words.end(), size_t{0}, [](size_t n, const std::string &w) { return n + w.size(); }) << std::endl;
    return SUCCESS();
}
