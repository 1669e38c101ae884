"""Recipes: defaults by the text's size, what is refused and in which words, and what a training costs."""

import pytest

from gatescope.models.cells import cells
from gatescope.models.network.network import untrained
from gatescope.models.pretrained import load_pretrained
from gatescope.models.training.corpus import Corpus
from gatescope.models.training.recipe import Recipe, affordable, batches, cost


@pytest.mark.parametrize("length", [2, 3, 10, 300, 2000, 100_000, 1_000_000])
def test_the_defaults_fit_a_text_of_any_size(length):
    recipe = Recipe.for_text(length, min(length, 60))
    corpus = Corpus(("ab" * length)[:length], recipe)
    assert corpus.epoch >= 1 and corpus.batch(recipe.steps).inputs.shape == (recipe.sequence_length, recipe.batch_size)
    assert corpus.held_out <= 30_000 and (length < 20) == (corpus.held_out == 0)
    for pace in (recipe.report_every, recipe.validate_every, recipe.sample_every, recipe.checkpoint_every):
        assert 1 <= pace <= recipe.steps / 5


def test_what_is_chosen_stays_where_the_text_allows_it():
    recipe = Recipe.for_text(300, 20, batch_size=64, sequence_length=50, hidden=33, seed=5, update_every=4)
    assert (recipe.hidden, recipe.seed, recipe.sequence_length, recipe.batch_size) == (33, 5, 50, 5)
    assert Recipe.for_text(10**6, 60, batch_size=64, sequence_length=50).batch_size == 64
    assert recipe.report_every % 4 == 0


def test_a_recipe_from_a_card_trains_again_as_it_did():
    card = load_pretrained("shakespeare-gru").card
    recipe = Recipe.for_text(card["data"]["characters"], 65, **card["recipe"])
    epoch = batches(card["data"]["trained_on"], recipe.batch_size, recipe.sequence_length)
    assert recipe.steps == 20 * epoch and recipe.learning_rate == card["recipe"]["learning_rate"]
    assert Recipe.for_text(card["data"]["characters"], 65, **recipe.to_json()) == recipe


def test_the_columns_are_read_from_end_to_end_and_again():
    corpus = Corpus("abcdefghijklmnopqrstuvwxyz" * 4, Recipe(batch_size=2, sequence_length=6, validation=0.0))
    given = [corpus.batch(step) for step in range(1, corpus.epoch + 2)]
    assert [batch.begins for batch in given] == [True, *[False] * (corpus.epoch - 1), True]
    assert all((batch.inputs[1:] == batch.targets[:-1]).all() for batch in given)
    assert all(
        (after.inputs[0] == batch.targets[-1]).all() for batch, after in zip(given[:-2], given[1:-1], strict=True)
    )
    assert corpus.epoch_of(corpus.epoch) == 1 and corpus.epoch_of(corpus.epoch + 1) == 2


def test_the_learning_rate_rises_and_then_falls_to_zero():
    rates = [Recipe(steps=100, learning_rate=0.5, warm_up=0.2).rate(step) for step in range(1, 101)]
    assert max(rates) == rates[19] == 0.5
    assert rates[:20] == sorted(rates[:20]) and rates[19:] == sorted(rates[19:], reverse=True)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": "none"},
        {"hidden": 0},
        {"hidden": 1.5},
        {"hidden": True},
        {"layers": 9},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"dropout": 1.0},
        {"embedding": 0},
        {"steps": 0},
        {"seed": -1},
        {"validation": 0.9},
        {"options": (("window", 6),)},
    ],
)
def test_a_recipe_out_of_range_is_refused_with_the_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name}: "):
        Recipe(**wrong)
    with pytest.raises(ValueError, match=f"^{name}: "):
        Recipe.for_text(1000, 20, **wrong)


@pytest.mark.parametrize(("length", "different"), [(0, 0), (1, 1), (500, 1)])
def test_a_text_without_two_different_characters_has_no_recipe(length, different):
    with pytest.raises(ValueError, match="^text: must have at least two different characters"):
        Recipe.for_text(length, different)


@pytest.mark.parametrize("cell", cells())
def test_the_cost_counts_the_weights_that_are_made(cell):
    recipe = Recipe(cell=cell, layers=2, hidden=16, embedding=5)
    made = untrained(cells()[cell], 2, 16, [*"abcdefg"], 5)
    assert cost(recipe, 1000, 7).parameters == made.size
    assert cost(recipe, 1000, 7).characters == recipe.steps * 32 * 64


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"hidden": 10**6}, "hidden: this network would have 4,000,"),
        ({"steps": 10**12}, "steps: this training would take about .* years, and at most 7 days are given"),
        ({"batch_size": 4000, "sequence_length": 4000}, "batch_size: this training would need .* GiB of memory"),
    ],
)
def test_what_no_machine_can_do_is_refused_before_it_begins(chosen, said):
    with pytest.raises(ValueError, match=said):
        affordable(Recipe.for_text(10**8, 60, **chosen), 10**8, 60)
    assert affordable(Recipe.for_text(10**8, 60), 10**8, 60).seconds < 3600
