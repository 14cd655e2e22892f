/* An echo server on liburing: one thread, DEFER_TASKRUN, multishot accept and
 * receive, a ring of provided buffers, sends submitted in batches. Built with
 * liburing 2.3 or later. */
#define _GNU_SOURCE
#include "common.h"
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

enum { ACCEPT = 1, RECV, SEND, CONTROL };
enum { BUFFERS = 1024, GROUP = 1 };

static struct io_uring ring;
static struct io_uring_buf_ring *br;
static char *bufs;
static unsigned bufsize;
/* what a buffer holds while it is being sent */
static struct { unsigned off, len; } held[BUFFERS];

static uint64_t tag(unsigned kind, unsigned bid, unsigned fd) {
	return (uint64_t)kind << 56 | (uint64_t)bid << 32 | fd;
}

static struct io_uring_sqe *next_sqe(void) {
	struct io_uring_sqe *sqe;
	while (!(sqe = io_uring_get_sqe(&ring)))
		io_uring_submit(&ring);
	return sqe;
}

static void give_back(unsigned bid) {
	io_uring_buf_ring_add(br, bufs + (size_t)bid * bufsize, bufsize, bid, BUFFERS - 1, 0);
	io_uring_buf_ring_advance(br, 1);
}

static void arm_recv(int fd) {
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	sqe->user_data = tag(RECV, 0, fd);
}

static void arm_accept(int listener) {
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = tag(ACCEPT, 0, listener);
}

static void arm_control(void) {
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_poll_add(sqe, 0, POLLIN);
	sqe->user_data = tag(CONTROL, 0, 0);
}

static void send_held(int fd, unsigned bid) {
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_send(sqe, fd, bufs + (size_t)bid * bufsize + held[bid].off, held[bid].len, MSG_NOSIGNAL);
	sqe->user_data = tag(SEND, bid, fd);
}

static void handle(struct io_uring_cqe *cqe, int listener) {
	unsigned kind = cqe->user_data >> 56, bid = cqe->user_data >> 32 & 0xffffff;
	int fd = (int)(uint32_t)cqe->user_data;
	switch (kind) {
	case ACCEPT:
		if (cqe->res >= 0) {
			no_delay(cqe->res);
			arm_recv(cqe->res);
		}
		if (!(cqe->flags & IORING_CQE_F_MORE))
			arm_accept(listener);
		break;
	case RECV:
		if (cqe->res > 0) {
			bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
			held[bid].off = 0;
			held[bid].len = cqe->res;
			send_held(fd, bid);
		}
		if (!(cqe->flags & IORING_CQE_F_MORE)) {
			if (cqe->res > 0 || cqe->res == -ENOBUFS)
				arm_recv(fd);
			else
				close(fd);
		}
		break;
	case SEND:
		if (cqe->res > 0 && (unsigned)cqe->res < held[bid].len) {
			held[bid].off += cqe->res;
			held[bid].len -= cqe->res;
			send_held(fd, bid);
			break;
		}
		give_back(bid);
		break;
	case CONTROL:
		if (!answer_control())
			exit(0);
		arm_control();
		break;
	}
}

int main(int argc, char **argv) {
	bufsize = argc > 1 ? atoi(argv[1]) : 2048;
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 4096,
	};
	if (io_uring_queue_init_params(512, &ring, &p) < 0) {
		fprintf(stderr, "no ring\n");
		return 1;
	}
	bufs = mmap(NULL, (size_t)BUFFERS * bufsize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	br = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)br, .ring_entries = BUFFERS, .bgid = GROUP};
	if (bufs == MAP_FAILED || br == MAP_FAILED || io_uring_register_buf_ring(&ring, &reg, 0)) {
		fprintf(stderr, "no buffer ring\n");
		return 1;
	}
	io_uring_buf_ring_init(br);
	for (unsigned i = 0; i < BUFFERS; i++)
		give_back(i);
	int listener = listen_loopback();
	arm_accept(listener);
	arm_control();
	for (;;) {
		io_uring_submit_and_wait(&ring, 1);
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			handle(cqe, listener);
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
}
