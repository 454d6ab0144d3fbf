//! Numbers that no recipe can have, as a file from elsewhere may hold them: the command line and the library's own recipes have none.

use super::Recipe;

/// The names of options, their values, what fits, and how that is said.
type Bound<'a> = (&'static str, &'a [f64], &'a dyn Fn(&f64) -> bool, &'static str);

impl Recipe {
    /// What is wrong with its numbers, if anything: what was found, and what was expected.
    pub(crate) fn fault(&self) -> Option<(String, &'static str)> {
        let share = |value: &f64| (0.0..1.0).contains(value);
        let whole_share = |value: &f64| (0.0..=1.0).contains(value);
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let from_zero = |value: &f64| value.is_finite() && *value >= 0.0;
        let (optimizer, schedule, stopping) = (&self.optimizer, &self.schedule, &self.stopping);
        let counts = [
            ("batch_size", self.batch_size as u64),
            ("lr_decay_every", schedule.lr_decay_every.into()),
            ("eval_every", self.eval_every.into()),
        ];
        if let Some((name, value)) = counts.into_iter().find(|(_, value)| !(1..=u32::MAX.into()).contains(value)) {
            return Some((format!("a recipe with {name} {value}"), "a whole number from 1 to 2^32 - 1"));
        }
        let options = |values: [Option<f64>; 4]| values.into_iter().flatten().collect::<Vec<f64>>();
        let all: [Bound<'_>; 8] = [
            ("beta1 or beta2", &[optimizer.beta1, optimizer.beta2], &share, "from 0 on and below 1"),
            ("dropout", &self.dropout, &share, "from 0 on and below 1"),
            ("input_dropout", &[self.input_dropout], &share, "from 0 on and below 1"),
            ("label_smoothing", &[self.label_smoothing], &whole_share, "from 0 to 1"),
            ("clip_norm", &options([optimizer.clip_norm, None, None, None]), &positive, "above 0"),
            (
                "momentum, epsilon or weight_decay",
                &[optimizer.momentum, optimizer.epsilon, optimizer.weight_decay],
                &from_zero,
                "from 0 on",
            ),
            (
                "lr, lr_decay, min_lr or gamma",
                &options([Some(schedule.lr), Some(schedule.lr_decay), schedule.min_lr, schedule.gamma]),
                &from_zero,
                "from 0 on",
            ),
            (
                "class_weight, min_delta or max_seconds",
                &[&self.class_weight[..], &options([Some(stopping.min_delta), stopping.max_seconds, None, None])]
                    .concat(),
                &from_zero,
                "from 0 on",
            ),
        ];
        all.into_iter().find_map(|(name, values, fits, expected)| {
            let value = values.iter().find(|value| !fits(value))?;
            Some((format!("a recipe whose {name} is {value}"), expected))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::RecipeName;

    #[test]
    fn recipes_have_no_fault_and_nonsense_has_one() {
        for name in RecipeName::ALL {
            assert_eq!(Recipe::new(name, None).fault(), None);
        }
        let broken = |change: fn(&mut Recipe)| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            recipe.fault().map(|(found, _)| found).unwrap_or_default()
        };
        // What the command line takes has none.
        assert_eq!(broken(|recipe| (recipe.optimizer.momentum, recipe.optimizer.epsilon) = (1.0, 0.0)), "");
        assert_eq!(broken(|recipe| recipe.batch_size = 0), "a recipe with batch_size 0");
        assert_eq!(broken(|recipe| recipe.schedule.lr_decay_every = 0), "a recipe with lr_decay_every 0");
        assert!(broken(|recipe| recipe.schedule.lr = f64::NAN).ends_with("is NaN"));
        assert!(broken(|recipe| recipe.optimizer.beta2 = 1.0).contains("beta2"));
        assert!(broken(|recipe| recipe.class_weight = vec![1.0, -1.0]).ends_with("is -1"));
    }
}
