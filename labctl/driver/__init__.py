"""Which of NVIDIA's drivers a host can have, decided before anything changes. Pure: values in, values out."""
