/* The verbs below `vigil model`. Each gets argc and argv with its own name first and returns
 * the exit code.
 *
 * Thread: single-threaded. */
#ifndef CLI_MODEL_VERBS_H
#define CLI_MODEL_VERBS_H

int model_compare(int argc, char **argv);
int model_inspect(int argc, char **argv);
int model_quantize(int argc, char **argv);
int model_verify(int argc, char **argv);

#endif
