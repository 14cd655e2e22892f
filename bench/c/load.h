/* What the files of the load generator share: load.c has the threads, the
 * loops and streams; each other file one protocol. */
#include "common.h"
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#define STAMP 8		 /* bytes that say which message of which connection it is */
#define SPREAD 4096	 /* the bodies of messages begin at so many places */
#define BATCH 128	 /* connections opened at a time: fits into every backlog */
#define EVENTS 512
#define SUB_BITS 7	 /* a histogram's buckets are 1/128 of their value wide */
#define BUCKETS ((64 - SUB_BITS) << SUB_BITS)
#define SPIN_NS 50000	 /* sleeping for less is not worth while */
#define LOST_NS 250000000 /* a datagram without an answer for so long is lost */

struct spec {
	char kind[16];
	struct sockaddr_in addr;
	long conns, size, threads, spin;
	int64_t warm, measure, bytes, give_up; /* nanoseconds, and bytes of a stream */
	double rate;			       /* messages a second of an open loop, 0 for a closed one */
};

struct client {
	int fd;
	uint32_t id, seq;
	uint32_t sent, got;
	bool busy, out; /* an answer is awaited; room to send is awaited */
	uint32_t given_up; /* datagrams whose answers may still come */
	int64_t intended, next;
	unsigned char *head; /* of an answer that came in parts */
};

struct worker {
	int ep, id;
	long n;
	struct client *conns;
	unsigned char *out, *in;
	struct epoll_event events[EVENTS];
	int64_t begin, end;
	int64_t step;	/* open loop: between two messages of this worker */
	int64_t due;	/* how many have been due */
	int64_t look;	/* when to look for lost messages again */
	bool counting;
	int64_t ops, work, unsent;
	int64_t lost, late; /* given up; of those, answered all the same */
	int64_t max;
	uint64_t hist[BUCKETS];
};

/* A protocol is what a client does with its connection. */
struct protocol {
	int (*open)(void); /* returns a socket */
	void (*push)(struct worker *w, struct client *c); /* sends what is under way, or as much as there is room for */
	/* receive takes what has arrived; true if that completes the message. */
	bool (*receive)(struct worker *w, struct client *c, uint32_t events);
	uint32_t events; /* to wait for */
	bool lossy;	 /* messages can get lost */
};

extern struct spec spec;
extern unsigned char *block; /* what messages are cut from */
extern const struct protocol tcp, udp, churn, http;

int64_t now_ns(void);
void fail(bool wrong, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void want(struct worker *w, struct client *c, bool out);
int dial(void); /* by TCP */

static inline uint64_t stamp(const struct client *c)
{
	return (uint64_t)c->id << 32 | c->seq;
}

/* The body of a message follows its stamp: bytes that depend on it. */
static inline const unsigned char *body(const struct client *c)
{
	return block + ((c->id * 31 + c->seq * 7) & (SPREAD - 1));
}
