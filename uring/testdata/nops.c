/* The loop of BenchmarkNopBesideC, on liburing: prepare a batch of NOPs, submit
 * it and wait for it, reap it.
 *
 * Reads lines with a batch and a number of batches, and answers each with the
 * nanoseconds that they took together. Ends with its input. Needs liburing 2.3.
 */
#define _GNU_SOURCE
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENTRIES = 128 };

static void check(int result, const char *what) {
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-result));
		exit(1);
	}
}

static long long now(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static unsigned long long turn(struct io_uring *ring, unsigned batch) {
	struct io_uring_cqe *cqe;
	unsigned long long sum = 0;
	unsigned head, seen = 0;

	for (unsigned i = 0; i < batch; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	check(io_uring_submit_and_wait(ring, batch), "io_uring_submit_and_wait");
	io_uring_for_each_cqe(ring, head, cqe) {
		sum += io_uring_cqe_get_data64(cqe);
		seen++;
	}
	if (seen != batch) {
		fprintf(stderr, "%u completions for %u entries\n", seen, batch);
		exit(1);
	}
	io_uring_cq_advance(ring, seen);
	return sum;
}

int main(void) {
	struct io_uring ring;
	unsigned batch;
	unsigned long long n, sum;

	check(io_uring_queue_init(ENTRIES, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
	      "io_uring_queue_init");
	while (scanf("%u %llu", &batch, &n) == 2 && batch >= 1 && batch <= ENTRIES) {
		long long start = now();
		sum = 0;
		for (unsigned long long i = 0; i < n; i++)
			sum += turn(&ring, batch);
		printf("%lld\n", now() - start);
		fflush(stdout);
		if (sum != n * batch * (batch - 1) / 2)
			return 1;
	}
	io_uring_queue_exit(&ring);
	return 0;
}
