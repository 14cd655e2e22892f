/* The protocol of HTTP/1.1 with connections that stay: a request that is
 * always the same, and answers of which the status, the length and the body
 * are checked. */
#define _GNU_SOURCE
#include "load.h"
#include <strings.h>

#define HEAD_MAX 1024 /* an answer with its headers is shorter */

static const char request[] = "GET /hello HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n";
static const char status[] = "HTTP/1.1 200 OK\r\n";
static const char greeting[] = "Hello, world!\n";

static void push(struct worker *w, struct client *c)
{
	while (c->sent < sizeof(request) - 1) {
		ssize_t n = send(c->fd, request + c->sent, sizeof(request) - 1 - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
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

/* content_length returns the value of that header, which must be there. */
static long content_length(const char *head, const char *end)
{
	static const char name[] = "Content-Length:";

	for (const char *line = head; line < end;) {
		const char *next = memmem(line, end + 2 - line, "\r\n", 2);
		if (!strncasecmp(line, name, sizeof(name) - 1))
			return atol(line + sizeof(name) - 1);
		if (!next)
			break;
		line = next + 2;
	}
	return -1;
}

/* complete says whether the n bytes at p are a whole answer; it fails if they
 * cannot become one. */
static bool complete(const struct client *c, char *p, size_t n)
{
	size_t known = n < sizeof(status) - 1 ? n : sizeof(status) - 1;
	char *end = memmem(p, n, "\r\n\r\n", 4);
	long length;
	size_t have;

	if (memcmp(p, status, known))
		fail(true, "answer %u of connection %u is no HTTP/1.1 200 OK", c->seq, c->id);
	if (!end) {
		if (n == HEAD_MAX)
			fail(true, "the headers of answer %u of connection %u do not end", c->seq, c->id);
		return false;
	}
	length = content_length(p, end);
	if (length != sizeof(greeting) - 1)
		fail(true, "answer %u of connection %u has Content-Length %ld", c->seq, c->id, length);
	have = n - (end + 4 - p);
	if (have > (size_t)length || memcmp(end + 4, greeting, have))
		fail(true, "wrong data in answer %u of connection %u", c->seq, c->id);
	return have == (size_t)length;
}

static bool receive(struct worker *w, struct client *c, uint32_t events)
{
	ssize_t n;

	if (!c->head && !(c->head = malloc(HEAD_MAX + 1)))
		fail(false, "out of memory");
	n = recv(c->fd, c->head + c->got, HEAD_MAX - c->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		fail(false, "recv: %s", strerror(errno));
	if (n == 0)
		fail(false, "the server has closed connection %u", c->id);
	if (!c->busy)
		fail(true, "%zd bytes that nobody has asked for", n);
	c->got += n;
	c->head[c->got] = 0;
	if (!complete(c, (char *)c->head, c->got))
		return false;
	c->busy = false;
	return true;
}

const struct protocol http = { .open = dial, .push = push, .receive = receive, .events = EPOLLIN };
