// build: c++ -g -O0 -std=c++17 -pthread
// build fast: c++ -g -O3 -std=c++20 -pthread
// build clang: clang++ -g -O2 -std=c++17 -fsized-deallocation -pthread
// Nothing to report: every form of new with its delete, containers, exceptions, threads, streams, locales.
#include <any>
#include <cstdio>
#include <functional>
#include <iostream>
#include <list>
#include <locale>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct alignas(128) Wide {
    int number = 3;
};

struct Animal {
    virtual ~Animal() = default;
    virtual int legs() const { return 0; }
};

struct Dog : Animal {
    std::string name = "a name that is too long to be kept in place";
    int legs() const override { return 4; }
};

struct Counted {
    std::string text = "each of an array has its own";
};

static int work() {
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 200; i++) {
        map["a key that is long enough to be allocated " + std::to_string(i % 17)].push_back(i);
    }
    std::unordered_map<int, std::shared_ptr<Animal>> animals;
    for (int i = 0; i < 100; i++) {
        animals[i] = std::make_shared<Dog>();
    }
    int sum = 0;
    for (const auto &[number, animal] : animals) {
        sum += animal->legs();
    }
    std::unique_ptr<Animal> dog(new Dog);
    std::unique_ptr<Counted[]> several(new Counted[5]);
    std::vector<Wide> wide(9);
    Wide *one = new (std::nothrow) Wide;
    delete one;
    std::function<int()> large = [map] { return int(map.size()); };
    std::any any = std::string("something that does not fit into an any");
    std::pmr::monotonic_buffer_resource pool;
    std::pmr::vector<std::pmr::string> strings(&pool);
    for (int i = 0; i < 50; i++) {
        strings.emplace_back("allocated with an alignment by the resource behind it");
    }
    try {
        throw std::runtime_error("a message of an exception, which is shared");
    } catch (const std::exception &error) {
        sum += error.what()[0] != 0;
    }
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << std::regex_replace(std::string("a-b-c"), std::regex("-"), "+") << large();
    std::list<std::string> list(30, out.str());
    list.sort();
    return sum + int(list.size()) + dog->legs() + wide[3].number;
}

int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back(work);
    }
    for (auto &thread : threads) {
        thread.join();
    }
    if (work() != 438) {
        std::cout << "sum is " << work() << std::endl;
    }
    std::cout << "EXIT-SUCCESS" << std::endl;
}
