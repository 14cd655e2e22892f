/* The protocol of short connections: connect, send a request, receive the
 * answer and the end of the stream, all of which counts as one operation. The
 * server closes first; the client, which knows that all has come, then resets
 * the connection, so that neither side keeps anything in TIME_WAIT and ports
 * are free at once. A client connects the same socket again and again, which
 * spares it what the server has to do: to open and to close one. epoll tells
 * of changes only: of what is not connected it would tell all the time. */
#define _GNU_SOURCE
#include "load.h"

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail(false, "socket: %s", strerror(errno));
	return fd;
}

/* push connects, and sends the request, for which a new connection has room.
 * Where a connection would wait, the server's queue is too short. */
static void push(struct worker *w, struct client *c)
{
	uint64_t s = stamp(c);

	memcpy(w->out, &s, STAMP);
	memcpy(w->out + STAMP, body(c), spec.size - STAMP);
	while (connect(c->fd, (struct sockaddr *)&spec.addr, sizeof(spec.addr)))
		if (errno != EINTR)
			fail(false, "connect: %s", strerror(errno));
	if (send(c->fd, w->out, spec.size, MSG_DONTWAIT | MSG_NOSIGNAL) != spec.size)
		fail(false, "send: %s", strerror(errno));
}

static bool receive(struct worker *w, struct client *c, uint32_t events)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	uint64_t s = stamp(c);
	int err;
	socklen_t len = sizeof(err);
	ssize_t n = recv(c->fd, w->in + c->got, spec.size + 1 - c->got, MSG_DONTWAIT);

	if (!c->busy)
		return false; /* not connected, of which epoll tells, too */
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		fail(false, "recv: %s", strerror(errno));
	if (n == 0 && c->got < spec.size)
		fail(false, "the server has closed a connection after %u bytes of an answer", c->got);
	if (c->got + n > spec.size)
		fail(true, "more than the answer");
	if (c->got > 0 && n > 0 && c->got < spec.size)
		fail(false, "an answer in parts"); /* too small for that: the buffer is not the client's own */
	c->got += n;
	if (c->got < spec.size)
		return false;
	if (n > 0 && (memcmp(w->in, &s, STAMP) || memcmp(w->in + STAMP, body(c), spec.size - STAMP)))
		fail(true, "wrong data in answer %u of client %u", c->seq, c->id);
	if (n > 0 && !(events & EPOLLRDHUP))
		return false; /* the end of the stream is still to come */
	/* The reset leaves an error on the socket, which asking for takes away. */
	if (connect(c->fd, &none, sizeof(none)) || getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		fail(false, "disconnect: %s", strerror(errno));
	c->busy = false;
	return true;
}

const struct protocol churn = { .open = open_socket, .push = push, .receive = receive, .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
