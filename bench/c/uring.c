/* The limit with completions: one thread, one ring that it alone enters
 * (DEFER_TASKRUN), multishot accept and receive into a ring of buffers, the
 * sends of a turn submitted together with the wait for the next one. Runs on
 * liburing 2.3, which has no helper to allocate the buffer ring. Ends when its
 * standard input is closed. */
#define _GNU_SOURCE
#include "common.h"
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

void serve_udp(struct io_uring *ring, size_t size); /* in udp_uring.c */

enum { ACCEPT, RECV, SEND, CLOSE, STDIN };

struct conn {
	int fd;
	char open, receiving, sending, starved, dead;
	int first, last;  /* echo: buffers to send back, -1 for none */
	uint64_t count;   /* sink: received; source: still to send */
	uint32_t off, len; /* of the send under way */
	unsigned char head[8];
	size_t got;
};

static struct io_uring ring;
static struct io_uring_buf_ring *bufs;
static unsigned char *mem;
static unsigned nbufs, bufsize, returned;
static int *next, *length;
static int *starving, nstarving;
static struct conn *conns;
static enum mode mode;

static struct io_uring_sqe *entry(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (!sqe)
		die("get_sqe", EBUSY);
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, int kind, int fd)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)kind << 32 | (uint32_t)fd);
}

static void arm_accept(int fd)
{
	struct io_uring_sqe *sqe = entry();
	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	tag(sqe, ACCEPT, fd);
}

static void arm_recv(struct conn *c)
{
	struct io_uring_sqe *sqe = entry();
	if (mode == ONCE)
		io_uring_prep_recv(sqe, c->fd, NULL, bufsize, 0);
	else
		io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	if (mode != ONCE) /* there the request may be on its way already */
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	tag(sqe, RECV, c->fd);
	c->receiving = 1;
}

static void give_back(int bid)
{
	io_uring_buf_ring_add(bufs, mem + (size_t)bid * bufsize, bufsize, bid,
			      io_uring_buf_ring_mask(nbufs), returned++);
}

static void start_send(struct conn *c, const void *p, unsigned n)
{
	struct io_uring_sqe *sqe = entry();
	io_uring_prep_send(sqe, c->fd, p, n, MSG_WAITALL | MSG_NOSIGNAL);
	tag(sqe, SEND, c->fd);
	c->sending = 1;
}

/* What a connection has to send next, if anything. */
static void send_next(struct conn *c)
{
	if (c->sending || c->dead)
		return;
	if ((mode == ECHO_BACK || mode == ONCE) && c->first >= 0) {
		c->len = length[c->first];
		start_send(c, mem + (size_t)c->first * bufsize + c->off, c->len - c->off);
	} else if (mode == SOURCE && c->got == 8 && c->count > 0) {
		c->len = c->count < CHUNK ? c->count : CHUNK;
		start_send(c, pattern + c->off, c->len - c->off);
	} else if (mode == SOURCE && c->got == 8) {
		c->dead = 1;
		shutdown(c->fd, SHUT_RDWR);
	} else if (mode == SINK && !c->receiving) {
		c->len = 8;
		start_send(c, (unsigned char *)&c->count + c->off, 8 - c->off);
	}
}

static void drop_queue(struct conn *c)
{
	while (c->first >= 0) {
		int bid = c->first;
		c->first = next[bid];
		give_back(bid);
	}
}

static void maybe_close(struct conn *c)
{
	if (!c->open || c->receiving || c->sending || c->starved)
		return;
	if (!c->dead && c->first >= 0)
		return;
	drop_queue(c);
	c->open = 0;
	struct io_uring_sqe *sqe = entry();
	io_uring_prep_close(sqe, c->fd);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	tag(sqe, CLOSE, c->fd);
}

static void accepted(int fd)
{
	if (fd >= MAXFD) {
		close(fd);
		return;
	}
	struct conn *c = &conns[fd];
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->open = 1;
	c->first = c->last = -1;
	arm_recv(c);
}

static void received(struct conn *c, int res, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		c->receiving = 0;
	if (res > 0) {
		int bid = flags >> IORING_CQE_BUFFER_SHIFT;
		unsigned char *p = mem + (size_t)bid * bufsize;
		if ((mode == ECHO_BACK || mode == ONCE) && !c->dead) {
			c->got += res;
			length[bid] = res;
			next[bid] = -1;
			if (c->first < 0)
				c->first = bid;
			else
				next[c->last] = bid;
			c->last = bid;
			send_next(c);
		} else {
			if (mode == SINK)
				c->count += res;
			for (int i = 0; mode == SOURCE && i < res && c->got < 8; i++)
				c->head[c->got++] = p[i];
			give_back(bid);
			if (mode == SOURCE && c->got == 8 && !c->sending) {
				memcpy(&c->count, c->head, 8);
				send_next(c);
			}
		}
		if (!c->receiving && !c->dead && (mode != ONCE || c->got < bufsize))
			arm_recv(c);
		else
			maybe_close(c);
		return;
	}
	if (c->receiving)
		return;
	if (res == -ENOBUFS && !c->dead) {
		c->starved = 1;
		starving[nstarving++] = c->fd;
		return;
	}
	if (res == 0 && mode == SINK) {
		send_next(c);
		return;
	}
	if (res < 0)
		c->dead = 1;
	maybe_close(c);
}

static void sent(struct conn *c, int res)
{
	c->sending = 0;
	if (res < 0) {
		c->dead = 1;
		drop_queue(c);
		shutdown(c->fd, SHUT_RDWR);
		maybe_close(c);
		return;
	}
	c->off += res;
	if (c->off >= c->len) {
		c->off = 0;
		if (mode == ECHO_BACK || mode == ONCE) {
			int bid = c->first;
			c->first = next[bid];
			give_back(bid);
		} else if (mode == SOURCE) {
			c->count -= c->len;
		} else {
			c->dead = 1; /* the sink's count was the last */
		}
	}
	send_next(c);
	if (!c->sending && !c->receiving)
		maybe_close(c);
}

static void setup(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
					      IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP, .cq_entries = 32768 };
	int err = io_uring_queue_init_params(4096, &ring, &p);
	if (err)
		die("io_uring_setup", -err);
	io_uring_register_ring_fd(&ring);
	size_t size = nbufs * sizeof(struct io_uring_buf);
	bufs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	mem = mmap(NULL, (size_t)nbufs * bufsize, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (bufs == MAP_FAILED || mem == MAP_FAILED)
		die("mmap", errno);
	struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)bufs, .ring_entries = nbufs, .bgid = 0 };
	err = io_uring_register_buf_ring(&ring, &reg, 0);
	if (err)
		die("register_buf_ring", -err);
	io_uring_buf_ring_init(bufs);
	next = calloc(nbufs, sizeof(int));
	length = calloc(nbufs, sizeof(int));
	starving = calloc(MAXFD, sizeof(int));
	conns = calloc(MAXFD, sizeof(*conns));
	for (unsigned i = 0; i < nbufs; i++)
		give_back(i);
	io_uring_buf_ring_advance(bufs, returned);
	returned = 0;
}

int main(int argc, char **argv)
{
	char backend[160];

	if (argc < 4)
		return 2;
	mode = parse_mode(argv[1]);
	bufsize = atoi(argv[2]);
	nbufs = atoi(argv[3]);
	make_pattern();
	setup();
	if (mode == UDP) {
		serve_udp(&ring, bufsize);
		return 0;
	}
	snprintf(backend, sizeof(backend), "liburing, SINGLE_ISSUER|DEFER_TASKRUN, multishot, %u buffers of %u bytes", nbufs, bufsize);
	int lfd = listen_loopback(backend);
	arm_accept(lfd);
	struct io_uring_sqe *sqe = entry();
	io_uring_prep_poll_add(sqe, 0, POLLIN | POLLHUP);
	tag(sqe, STDIN, 0);
	for (;;) {
		int err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0 && err != -EINTR && err != -EBUSY && err != -EAGAIN)
			die("submit_and_wait", -err);
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			int fd = (int)(uint32_t)cqe->user_data;
			n++;
			switch (cqe->user_data >> 32) {
			case ACCEPT:
				if (cqe->res >= 0)
					accepted(cqe->res);
				if (!(cqe->flags & IORING_CQE_F_MORE))
					arm_accept(lfd);
				break;
			case RECV:
				received(&conns[fd], cqe->res, cqe->flags);
				break;
			case SEND:
				sent(&conns[fd], cqe->res);
				break;
			case CLOSE:
				break;
			case STDIN:
				return 0;
			}
		}
		io_uring_cq_advance(&ring, n);
		if (!returned)
			continue;
		io_uring_buf_ring_advance(bufs, returned);
		returned = 0;
		for (; nstarving > 0; nstarving--) {
			struct conn *c = &conns[starving[nstarving - 1]];
			c->starved = 0;
			arm_recv(c);
		}
	}
}
