/* The UDP echo with completions: a multishot recvmsg into a ring of buffers,
 * and the answers of a turn submitted together with the wait for the next. */
#define _GNU_SOURCE
#include "common.h"
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

#define BUFS 1024 /* more than a ring's turn takes */

enum { RECEIVE, SEND, INPUT };

void serve_udp(struct io_uring *ring, size_t size);

static struct msghdr shape = { .msg_namelen = sizeof(struct sockaddr_in) };
static struct io_uring_buf_ring *group;
static unsigned char *memory;
static size_t room;
static int added;
static struct msghdr answers[BUFS];
static struct iovec pieces[BUFS];

static struct io_uring_sqe *next_entry(struct io_uring *ring, int kind, unsigned id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	if (!sqe)
		die("get_sqe", EBUSY);
	sqe->user_data = (uint64_t)kind << 32 | id;
	return sqe;
}

static void give(unsigned id)
{
	io_uring_buf_ring_add(group, memory + id * room, room, id, io_uring_buf_ring_mask(BUFS), added++);
}

static void arm(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = next_entry(ring, RECEIVE, 0);

	io_uring_prep_recvmsg_multishot(sqe, fd, &shape, MSG_TRUNC);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
}

static void answer(struct io_uring *ring, int fd, unsigned id, int res)
{
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(memory + id * room, res, &shape);
	struct io_uring_sqe *sqe;

	if (!out || out->flags & MSG_TRUNC)
		die("recvmsg", EMSGSIZE);
	pieces[id] = (struct iovec){ io_uring_recvmsg_payload(out, &shape), out->payloadlen };
	answers[id] = (struct msghdr){ .msg_name = io_uring_recvmsg_name(out), .msg_namelen = out->namelen,
				       .msg_iov = &pieces[id], .msg_iovlen = 1 };
	sqe = next_entry(ring, SEND, id);
	io_uring_prep_sendmsg(sqe, fd, &answers[id], 0);
}

static void setup_group(struct io_uring *ring, size_t size)
{
	room = (sizeof(struct io_uring_recvmsg_out) + sizeof(struct sockaddr_in) + size + 63) & ~63UL;
	group = mmap(NULL, BUFS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	memory = mmap(NULL, BUFS * room, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (group == MAP_FAILED || memory == MAP_FAILED)
		die("mmap", errno);
	struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)group, .ring_entries = BUFS, .bgid = 1 };
	int err = io_uring_register_buf_ring(ring, &reg, 0);
	if (err)
		die("register_buf_ring", -err);
	io_uring_buf_ring_init(group);
	for (unsigned i = 0; i < BUFS; i++)
		give(i);
	io_uring_buf_ring_advance(group, added);
	added = 0;
}

void serve_udp(struct io_uring *ring, size_t size)
{
	setup_group(ring, size);
	int fd = udp_loopback("liburing, SINGLE_ISSUER|DEFER_TASKRUN, multishot recvmsg, 1024 buffers");
	struct io_uring_sqe *sqe = next_entry(ring, INPUT, 0);
	int armed = 0;

	io_uring_prep_poll_add(sqe, 0, POLLIN | POLLHUP);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;

		if (!armed) {
			arm(ring, fd);
			armed = 1;
		}
		int err = io_uring_submit_and_wait(ring, 1);
		if (err < 0 && err != -EINTR && err != -EBUSY && err != -EAGAIN)
			die("submit_and_wait", -err);
		io_uring_for_each_cqe(ring, head, cqe) {
			n++;
			switch (cqe->user_data >> 32) {
			case RECEIVE:
				if (!(cqe->flags & IORING_CQE_F_MORE))
					armed = 0;
				if (cqe->res >= 0 && cqe->flags & IORING_CQE_F_BUFFER)
					answer(ring, fd, cqe->flags >> IORING_CQE_BUFFER_SHIFT, cqe->res);
				else if (cqe->res < 0 && cqe->res != -ENOBUFS)
					die("recvmsg", -cqe->res);
				break;
			case SEND:
				if (cqe->res < 0)
					die("sendmsg", -cqe->res);
				give((uint32_t)cqe->user_data);
				break;
			case INPUT:
				return;
			}
		}
		io_uring_cq_advance(ring, n);
		if (added)
			io_uring_buf_ring_advance(group, added);
		added = 0;
	}
}
