/* The verb `vigil streams test`.
 *
 * Thread: the main thread. */
#ifndef CLI_STREAMS_TEST_H
#define CLI_STREAMS_TEST_H

/* argv[0] is "test". The exit code. */
int cli_streams_test(int argc, char **argv);

#endif
