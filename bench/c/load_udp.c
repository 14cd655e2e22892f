/* The protocol of echoes on UDP: each client has a socket, and thus a port, of
 * its own. A datagram that gets lost is given up after a while; its answer may
 * come all the same, once. */
#define _GNU_SOURCE
#include "load.h"

static int open_udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail(false, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&spec.addr, sizeof(spec.addr)))
		fail(false, "connect: %s", strerror(errno));
	return fd;
}

static void push(struct worker *w, struct client *c)
{
	uint64_t s = stamp(c);

	memcpy(w->out, &s, STAMP);
	memcpy(w->out + STAMP, body(c), spec.size - STAMP);
	for (;;) {
		ssize_t n = send(c->fd, w->out, spec.size, MSG_DONTWAIT);
		if (n == spec.size)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			want(w, c, true);
			return;
		}
		fail(false, "send: %s", n < 0 ? strerror(errno) : "part of a datagram");
	}
	want(w, c, false);
}

static bool receive(struct worker *w, struct client *c, uint32_t events)
{
	ssize_t n = recv(c->fd, w->in, spec.size, MSG_DONTWAIT | MSG_TRUNC);
	uint64_t s;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		fail(false, "recv: %s", strerror(errno));
	if (n != spec.size)
		fail(true, "a datagram of %zd bytes", n);
	memcpy(&s, w->in, STAMP);
	if (s >> 32 == c->id && (uint32_t)s < c->seq && c->given_up > 0) {
		c->given_up--;
		w->late++;
		return false;
	}
	if (!c->busy)
		fail(true, "a datagram that nobody has sent");
	if (s != stamp(c) || memcmp(w->in + STAMP, body(c), spec.size - STAMP))
		fail(true, "wrong data in message %u of socket %u", c->seq, c->id);
	c->busy = false;
	return true;
}

const struct protocol udp = { .open = open_udp, .push = push, .receive = receive, .events = EPOLLIN, .lossy = true };
