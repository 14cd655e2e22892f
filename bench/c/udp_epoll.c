/* The UDP echo with readiness: one thread that takes what there is with one
 * recvmmsg and sends it back with one sendmmsg. */
#define _GNU_SOURCE
#include "common.h"
#include <poll.h>

#define BATCH 64

int serve_udp(size_t size);

int serve_udp(size_t size)
{
	static struct mmsghdr msgs[BATCH];
	static struct sockaddr_in from[BATCH];
	static struct iovec iov[BATCH];
	unsigned char *mem = malloc(BATCH * size);
	int fd = udp_loopback("recvmmsg and sendmmsg of up to 64");
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	if (!mem)
		die("malloc", ENOMEM);
	for (int i = 0; i < BATCH; i++) {
		iov[i].iov_base = mem + i * size;
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			iov[i].iov_len = size;
			msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
		int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("recvmmsg", errno);
		if (n <= 0) {
			poll(fds, 2, -1);
			if (fds[1].revents)
				return 0; /* the bench is gone */
			continue;
		}
		for (int i = 0; i < n; i++)
			iov[i].iov_len = msgs[i].msg_len;
		for (int sent = 0; sent < n;) {
			int k = sendmmsg(fd, msgs + sent, n - sent, 0);
			if (k < 0 && errno != EINTR)
				die("sendmmsg", errno);
			sent += k > 0 ? k : 0;
		}
	}
}
