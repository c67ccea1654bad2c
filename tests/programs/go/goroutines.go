// build: env CGO_ENABLED=0 go build -o {out} {src}
// build pie: env CGO_ENABLED=0 go build -buildmode=pie -o {out} {src}
// build cgo: env CGO_ENABLED=1 go build -o {out} {src}
// errors: ignored
// timeout: 120
// Goroutines, channels, preempted loops, collections, timers, recovered faults, child processes, signals.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

type node struct {
	left, right *node
	value       int
}

func build(depth int) *node {
	if depth == 0 {
		return &node{value: 1}
	}
	return &node{build(depth - 1), build(depth - 1), depth}
}

func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

func nilFault() (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	var n *node
	return fmt.Sprint(n.value)
}

func main() {
	results := make(chan int, 10)
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			total := 0
			for k := 0; k < 200000; k++ {
				total += k % (i + 1)
			}
			results <- total
		}(i)
	}
	go func() { group.Wait(); close(results) }()
	sum := 0
	for value := range results {
		sum += value
	}
	fmt.Println("sum", sum)

	// A loop without calls is preempted by a signal.
	runtime.GOMAXPROCS(1)
	done := false
	go func() {
		for i := 0; ; i++ {
			if i < 0 {
				fmt.Println("overflow")
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	done = true
	fmt.Println("preempted", done)
	runtime.GOMAXPROCS(4)

	for i := 0; i < 5; i++ {
		fmt.Println("tree", build(12).sum())
		runtime.GC()
	}
	fmt.Println(nilFault())
	for i := 0; i < 1000; i++ {
		nilFault()
	}
	words := strings.Fields(strings.Repeat("the quick brown fox jumps over ", 50))
	counts := map[string]int{}
	for _, word := range words {
		counts[word]++
	}
	keys := make([]string, 0)
	for key := range counts {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	fmt.Println(keys, counts["fox"])
	fmt.Printf("%x\n", sha256.Sum256([]byte(strings.Join(words, ","))))

	output, err := exec.Command("/bin/sh", "-c", "echo from a child; exit 3").Output()
	fmt.Printf("%s%v\n", output, err)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)
	select {
	case <-time.After(10 * time.Millisecond):
		fmt.Println("timer")
	}
	executable, _ := os.Executable()
	fmt.Println(executable == os.Args[0])
	fmt.Println("EXIT-SUCCESS")
}
