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

enum mode { ECHO_BACK, SINK, SOURCE };

static unsigned char pattern[CHUNK];

static void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(1);
}

static void make_pattern(void)
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
	fprintf(stderr, "no mode %s\n", s);
	exit(2);
}

__attribute__((unused)) static int listen_loopback(const char *backend)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket", errno);
	/* Accepted sockets inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		die("listen", errno);
	signal(SIGPIPE, SIG_IGN);
	printf("{\"addr\":\"127.0.0.1:%d\",\"backend\":\"%s\"}\n", ntohs(sa.sin_port), backend);
	fflush(stdout);
	return fd;
}
