/* The protocol of echoes on TCP: whatever is sent comes back. */
#define _GNU_SOURCE
#include "load.h"
#include <sys/uio.h>

/* push sends the message under way, or as much as there is room for. */
static void push(struct worker *w, struct client *c)
{
	uint64_t s = stamp(c);

	while (c->sent < spec.size) {
		ssize_t n;
		if (spec.size <= 2048) {
			memcpy(w->out, &s, STAMP);
			memcpy(w->out + STAMP, body(c), spec.size - STAMP);
			n = send(c->fd, w->out + c->sent, spec.size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		} else {
			size_t head = c->sent < STAMP ? STAMP - c->sent : 0;
			size_t at = c->sent + head - STAMP; /* in the body */
			struct iovec iov[2] = { { (char *)&s + STAMP - head, head },
						{ (void *)(body(c) + at), spec.size - STAMP - at } };
			struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
			n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			want(w, c, true);
			return;
		}
		if (n < 0)
			fail(false, "send: %s", strerror(errno));
		c->sent += n;
	}
	want(w, c, false);
}

/* check compares what has come back with what was sent, as far as it goes. */
static void check(struct client *c, const unsigned char *p, size_t n)
{
	uint64_t s = stamp(c);

	if (!c->busy)
		fail(true, "%zu bytes that nobody has sent", n);
	if (c->got < STAMP) {
		size_t k = STAMP - c->got < n ? STAMP - c->got : n;
		if (memcmp(p, (char *)&s + c->got, k))
			fail(true, "wrong data in message %u of connection %u", c->seq, c->id);
		c->got += k;
		p += k;
		n -= k;
	}
	if (memcmp(p, body(c) + c->got - STAMP, n))
		fail(true, "wrong data in message %u of connection %u", c->seq, c->id);
	c->got += n;
}

/* receive takes what has arrived; true if that completes the message. */
static bool receive(struct worker *w, struct client *c, uint32_t events)
{
	size_t room = c->busy ? spec.size - c->got : 1; /* what nobody has sent is noticed the next time */
	ssize_t n = recv(c->fd, w->in, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		fail(false, "recv: %s", strerror(errno));
	if (n == 0)
		fail(false, "the server has closed connection %u", c->id);
	check(c, w->in, n);
	if (c->got < spec.size)
		return false;
	c->busy = false;
	return true;
}

int dial(void)
{
	struct linger reset = { .l_onoff = 1 }; /* a port in TIME_WAIT is one less for the next round */
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail(false, "socket: %s", strerror(errno));
	while (connect(fd, (struct sockaddr *)&spec.addr, sizeof(spec.addr)))
		if (errno != EINTR)
			fail(false, "connect: %s", strerror(errno));
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		fail(false, "setsockopt: %s", strerror(errno));
	return fd;
}


const struct protocol tcp = { .open = dial, .push = push, .receive = receive, .events = EPOLLIN };
