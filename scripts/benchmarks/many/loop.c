/* The limit of the group `many`: eight networks 1–W–W–1 with tanh, trained by Adam, by hand, for one
   core. A member is a lane of every vector, so that no operation crosses lanes.

   Compiled for one width: -DWIDTH=16, and for the examples that are taken together: -DTILE=8, a
   divisor of every batch. Their states lie in the cache, a unit's over the tile in registers.

   Parameters, and the two moments of Adam, are vectors one after the other: W_1, b_1 (W each), W_2
   (W, W), b_2, W_3 (W each), b_3. */

#include <math.h>

#define LANES 8
#define INLINE static inline __attribute__((always_inline))
#define EACH(i, count) for (int i = 0; i < (count); i++)
#define UNROLLED _Pragma("GCC unroll 16")

typedef float vector __attribute__((vector_size(4 * LANES)));

enum { W = WIDTH, T = TILE, W1 = 0, B1 = W, W2 = 2 * W, B2 = W2 + W * W, W3 = B2 + W, B3 = W3 + W,
       COUNT = B3 + 1 };

/* Rational, of relative error 1e-6, as in depth/loop.c. */
INLINE vector hyperbolic_tangent(vector z) {
  UNROLLED for (int i = 0; i < LANES; i++) z[i] = z[i] > 7.3f ? 7.3f : z[i] < -7.3f ? -7.3f : z[i];
  vector s = z * z;
  return z *
         (0.999999934820976f +
          s * (0.1298571680948187f + s * (0.0030163880788518f + s * 1.216123446e-5f))) /
         (1.0f + s * (0.4631899398323633f +
                      s * (0.0240805130720568f + s * (2.4805074888e-4f + s * 2.6997984e-7f))));
}

/* Adds the gradient of the sum of half squares over a tile. */
INLINE void add_gradient(const vector *p, vector *g, const float *x, const float *y,
                         const int *rows) {
  vector first[W][T], second[W][T], back[W][T], error[T];
  EACH(i, W) UNROLLED EACH(t, T)
    first[i][t] = hyperbolic_tangent(p[W1 + i] * x[rows[t]] + p[B1 + i]);
  UNROLLED EACH(t, T) error[t] = p[B3] - y[rows[t]];
  EACH(i, W) {
    vector z[T];
    UNROLLED EACH(t, T) z[t] = p[B2 + i];
    EACH(j, W) UNROLLED EACH(t, T) z[t] += p[W2 + i * W + j] * first[j][t];
    UNROLLED EACH(t, T) {
      second[i][t] = hyperbolic_tangent(z[t]);
      error[t] += p[W3 + i] * second[i][t];
    }
  }
  UNROLLED EACH(t, T) g[B3] += error[t];
  EACH(j, W) UNROLLED EACH(t, T) back[j][t] = (vector){};
  EACH(i, W) {
    vector mu[T], of_readout = {}, of_bias = {};
    UNROLLED EACH(t, T) {
      of_readout += error[t] * second[i][t];
      mu[t] = error[t] * p[W3 + i] * (1 - second[i][t] * second[i][t]);
      of_bias += mu[t];
    }
    g[W3 + i] += of_readout;
    g[B2 + i] += of_bias;
    EACH(j, W) {
      vector sum = {};
      UNROLLED EACH(t, T) {
        sum += mu[t] * first[j][t];
        back[j][t] += p[W2 + i * W + j] * mu[t];
      }
      g[W2 + i * W + j] += sum;
    }
  }
  EACH(j, W) {
    vector of_weight = {}, of_bias = {};
    UNROLLED EACH(t, T) {
      vector mu = back[j][t] * (1 - first[j][t] * first[j][t]);
      of_weight += mu * x[rows[t]];
      of_bias += mu;
    }
    g[W1 + j] += of_weight;
    g[B1 + j] += of_bias;
  }
}

/* Trains: `order` holds the n rows of each epoch as they are visited. The moments begin at 0. */
void train(vector *p, vector *m, vector *v, const float *x, const float *y, const int *order,
           long epochs, long n, long batch, float rate, float epsilon) {
  double first = 1, second = 1;
  for (long epoch = 0; epoch < epochs; epoch++, order += n)
    for (long start = 0; start < n; start += batch) {
      long size = n - start < batch ? n - start : batch;
      vector g[COUNT] = {};
      for (long k = start; k < start + size; k += T) add_gradient(p, g, x, y, order + k);
      first *= 0.9, second *= 0.999;
      float step = rate / (1 - first), scale = 1 / (1 - second), mean = 1.0f / size;
      EACH(i, COUNT) {
        vector gradient = g[i] * mean, root;
        m[i] = 0.9f * m[i] + 0.1f * gradient;
        v[i] = 0.999f * v[i] + 0.001f * gradient * gradient;
        UNROLLED EACH(k, LANES) root[k] = sqrtf(v[i][k] * scale);
        p[i] -= step * m[i] / (root + epsilon);
      }
    }
}
