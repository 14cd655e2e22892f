/* The limit with readiness: one thread, one epoll, level-triggered, every
 * answer written at once. Ends when its standard input is closed. */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <sys/epoll.h>

int serve_udp(size_t size); /* in udp_epoll.c */

struct conn {
	int fd;
	unsigned char *rest; /* of an answer that did not fit into the socket */
	size_t off, len;
	uint64_t count; /* sink: received; source: still to send */
	unsigned char head[8];
	size_t got;
};

static enum mode mode;
static size_t request; /* once: bytes of one */
static int ep;
static unsigned char buf[CHUNK];

static void want(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
}

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->rest);
	free(c);
}

/* Returns 0 when all is sent, 1 when the rest waits for room, -1 on error. */
static int reply(struct conn *c, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(c->fd, p, n, MSG_DONTWAIT);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN)
			return -1;
		if (w < 0) {
			unsigned char *copy = malloc(n);
			memcpy(copy, p, n);
			free(c->rest);
			c->rest = copy;
			c->off = 0;
			c->len = n;
			want(c, EPOLLOUT);
			return 1;
		}
		p += w;
		n -= w;
	}
	return 0;
}

static int pump(struct conn *c) /* source */
{
	while (c->count > 0) {
		size_t n = c->count < CHUNK ? c->count : CHUNK;
		c->count -= n;
		int r = reply(c, pattern, n);
		if (r)
			return r;
	}
	return -1; /* done: close */
}

static int writable(struct conn *c)
{
	unsigned char *p = c->rest;
	c->rest = NULL;
	int r = reply(c, p + c->off, c->len);
	free(p);
	if (r)
		return r;
	if (mode == SOURCE)
		return pump(c);
	want(c, EPOLLIN);
	return 0;
}

static int readable(struct conn *c)
{
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	switch (mode) {
	case ECHO_BACK:
		return n == 0 ? -1 : reply(c, buf, n);
	case ONCE:
		if (n == 0 || reply(c, buf, n))
			return -1;
		c->got += n;
		return c->got < request ? 0 : -1;
	case UDP:
		break;
	case SINK:
		c->count += n;
		if (n > 0)
			return 0;
		reply(c, (unsigned char *)&c->count, 8);
		return -1;
	case SOURCE:
		if (n == 0)
			return -1;
		for (ssize_t i = 0; i < n && c->got < 8; i++)
			c->head[c->got++] = buf[i];
		if (c->got < 8)
			return 0;
		memcpy(&c->count, c->head, 8);
		return pump(c);
	}
	return -1;
}

static void accept_all(int lfd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd;

	while ((fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));
		c->fd = fd;
		ev.data.ptr = c;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event evs[256];

	if (argc < 2)
		return 2;
	mode = parse_mode(argv[1]);
	request = argc > 2 ? atoi(argv[2]) : 0;
	if (mode == UDP)
		return serve_udp(request);
	make_pattern();
	ep = epoll_create1(EPOLL_CLOEXEC);
	int lfd = listen_loopback("epoll");
	fcntl(lfd, F_SETFL, O_NONBLOCK);
	struct conn in = { .fd = 0 }, l = { .fd = lfd };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &in };
	epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev);
	ev.data.ptr = &l;
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
	for (;;) {
		int n = epoll_wait(ep, evs, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = evs[i].data.ptr;
			if (c == &in)
				return 0;
			if (c == &l) {
				accept_all(lfd);
				continue;
			}
			int r = c->rest ? writable(c) : readable(c);
			if (r < 0)
				drop(c);
		}
	}
}
