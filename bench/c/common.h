/* What the C programs share: the listening socket, the hello line, the bytes
 * that a source sends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536 /* the unit in which streams are sent */
#define MAXFD 65536

enum mode { ECHO_BACK, SINK, SOURCE, ONCE, UDP };

__attribute__((unused)) static unsigned char pattern[CHUNK];

__attribute__((unused)) static void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(1);
}

__attribute__((unused)) static void make_pattern(void)
{
	uint32_t x = 12345;
	for (int i = 0; i < CHUNK; i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = x >> 24;
	}
}

__attribute__((unused)) static enum mode parse_mode(const char *s)
{
	if (!strcmp(s, "echo"))
		return ECHO_BACK;
	if (!strcmp(s, "sink"))
		return SINK;
	if (!strcmp(s, "source"))
		return SOURCE;
	if (!strcmp(s, "once"))
		return ONCE;
	if (!strcmp(s, "udp"))
		return UDP;
	fprintf(stderr, "no mode %s\n", s);
	exit(2);
}

/* announce says where the server listens. */
static void announce(int fd, const char *backend)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname", errno);
	printf("{\"addr\":\"127.0.0.1:%d\",\"backend\":\"%s\"}\n", ntohs(sa.sin_port), backend);
	fflush(stdout);
}

/* bind_loopback makes a socket on a port that the kernel chooses. */
static int bind_loopback(int type)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket", errno);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("bind", errno);
	return fd;
}

__attribute__((unused)) static int listen_loopback(const char *backend)
{
	int one = 1, fd = bind_loopback(SOCK_STREAM);

	/* Accepted sockets inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (listen(fd, 4096))
		die("listen", errno);
	signal(SIGPIPE, SIG_IGN);
	announce(fd, backend);
	return fd;
}

/* The buffer that a UDP server asks for, in every language: what all clients
 * send at once must fit. */
#define UDP_BUFFER (2 << 20)

__attribute__((unused)) static int udp_loopback(const char *backend)
{
	int size = UDP_BUFFER, fd = bind_loopback(SOCK_DGRAM);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)))
		die("setsockopt", errno);
	announce(fd, backend);
	return fd;
}
