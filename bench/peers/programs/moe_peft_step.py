"""Training steps of MoE-PEFT through its own model, adapter and TrainConfig classes.

Two things are in its favour: it insists on a dropout above 0, so the dropout call is replaced by a copy; and its trainer's
gradient checkpointing is off. Both of its mixtures put experts on the FFN and one LoRA on each projection of attention.
"""

import logging

import timing
import torch
import moe_peft
from moe_peft.common import LLMBatchConfig, LLMModelInput
from moe_peft.trainer import TrainConfig

METHODS = {
    "mixlora": {"peft_type": "MIXLORA", "routing_strategy": "mixlora", "num_experts": 8, "top_k": 2},
    "loramoe": {"peft_type": "LORAMOE", "routing_strategy": "loramoe", "num_experts": 8},
}


def load(options):
    dtype = getattr(torch, options.dtype)
    if dtype == torch.bfloat16:  # on CPU its executor turns bf16 into fp16 where transformers says that bf16 is missing
        moe_peft.executor.is_bf16_supported = lambda: True
    model = moe_peft.LLMModel.from_pretrained(options.base, device="cpu", attn_impl="eager", load_dtype=dtype)
    model.init_adapter(moe_peft.adapter_factory(
        adapter_name="peer", r=options.rank, lora_alpha=2 * options.rank, lora_dropout=1e-9,
        target_modules=timing.PROJECTIONS, **METHODS[options.method]))
    return model


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--method", choices=METHODS, required=True)
    options = parser.parse_args()
    timing.use_threads()
    logging.getLogger().setLevel(logging.ERROR)
    torch.nn.Dropout.forward = lambda self, x: x
    torch.nn.functional.dropout = lambda x, *arguments, **how: x.clone()

    model = load(options)
    trainer = TrainConfig(adapter_name="peer", num_epochs=1, batch_size=options.rows, micro_batch_size=options.rows, learning_rate=1e-4)
    weights = model.get_adapter_weight_dict("peer")
    trainer.prepare(weights)
    trainer.prepare_lr_scheduler(1000)
    ids = timing.random_ids(options, model.config_.vocab_size_).tolist()

    def step(_):
        output, = model.forward(LLMModelInput(
            batch_configs_=[LLMBatchConfig("peer", 0, options.rows)], batch_tokens_=ids, batch_labels_=ids,
            batch_masks_=[[1] * options.length] * options.rows, gradient_checkpoint_="none"))
        loss = output.loss + (output.aux_loss if output.aux_loss is not None else 0)
        loss.backward()
        trainer.step()
        return options.rows * options.length

    timing.report(timing.time_steps(step, options.steps), sum(p.numel() for p in weights.values() if p.requires_grad))


if __name__ == "__main__":
    main()
