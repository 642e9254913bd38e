"""Floating-point operations of a training step, as the GEMM bound counts them. Pure.

Frozen layers and the lm_head cost a forward and the gradient of their input; adapters the gradient of their weights too; the
backward of attention is 2.5 times its forward, since it makes the scores again.
"""


def projections(config):
    """[(in, out)] of the seven projections of a layer. `config`: keys of a Hugging Face config.json."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    query, key = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    return [(hidden, query), (hidden, key), (hidden, key), (query, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]


def linear_weights(config):
    """Weights of the projections of all layers."""
    return config["num_hidden_layers"] * sum(width * out for width, out in projections(config))


def lora_parameters_per_rank(config):
    """Trained parameters of LoRA of rank 1 on all of them."""
    return config["num_hidden_layers"] * sum(width + out for width, out in projections(config))


def flops_per_token(config, trained_parameters, labelled_share, pairs_per_token):
    """`pairs_per_token`: keys that a query sees on average, (length + 1) / 2 in one document."""
    hidden = config["hidden_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    attention = 4 * head * config["num_attention_heads"] * pairs_per_token * config["num_hidden_layers"]
    return (4 * linear_weights(config) + 3.5 * attention + 6 * trained_parameters
            + 4 * hidden * config["vocab_size"] * labelled_share)


def pairs_per_token(lengths):
    """Of documents of these lengths, none of which sees another."""
    return sum(length * (length + 1) / 2 for length in lengths) / sum(lengths)


def bound_share(config, trained_parameters, labelled_share, lengths, tokens_per_second, gemm_gflops):
    """Share of the speed that a step of nothing but GEMMs at the measured rate would have."""
    work = flops_per_token(config, trained_parameters, labelled_share, pairs_per_token(lengths))
    return work * tokens_per_second / (gemm_gflops * 1e9)
